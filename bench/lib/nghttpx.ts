/**
 * nghttpx as a contender: HTTP/2 in and out in plaintext, one worker, no log. One hop.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { untilServed } from './application.ts';
import { freePort, start } from './processes.ts';
import type { Place, RunningPath, Scenario } from './scenario.ts';
import { needTool } from './tools.ts';

const LOCAL = '127.0.0.1';

export async function startNghttpx(scenario: Scenario, place: Place): Promise<RunningPath> {
  const { application, folder } = place;
  const port = await freePort(LOCAL);
  mkdirSync(folder, { recursive: true });
  const flags = [
    `--frontend=${LOCAL},${port};no-tls`,
    `--backend=${application.address},${application.port};;proto=h2`,
    '--workers=1',
    '--conf=/dev/null',
    '--errorlog-file=/dev/null',
  ];
  const running = await start([needTool('nghttpx'), ...flags], join(folder, 'output.log'));
  const target = { address: LOCAL, port, host: 'localhost' };
  await untilServed(scenario, target);
  // nghttpx works in a child of the process that was started.
  return { target, pids: [running.pid, ...running.children()], stop: () => running.stop() };
}
