/**
 * HAProxy as a contender: one thread, connections to the next hop shared by all clients, no log.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, start, untilAnswered, type Running } from './processes.ts';
import type { Place, RunningPath, Scenario } from './scenario.ts';
import { needTool } from './tools.ts';

const LOCAL = '127.0.0.1';

function run(folder: string, bind: string, server: string): Promise<Running> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 1m
  timeout server 1m
  timeout http-keep-alive 1m
  http-reuse always
frontend in
  bind ${bind}
  default_backend next
backend next
  server next ${server} pool-max-conn 256
`,
  );
  return start([needTool('haproxy'), '-db', '-q', '-f', file], join(folder, 'output.log'));
}

export async function startHaproxy(scenario: Scenario, place: Place): Promise<RunningPath> {
  const { application, certificates, folder } = place;
  const port = await freePort(LOCAL);
  const app = `${application.address}:${application.port}`;
  const started: Running[] = [];
  if (scenario.hops === 1) {
    started.push(await run(join(folder, 'a'), `${LOCAL}:${port}`, app));
  } else {
    const between = await freePort(LOCAL);
    const tls = `crt ${certificates.both} ca-file ${certificates.ca} verify required ssl-min-ver TLSv1.3`;
    started.push(
      await run(join(folder, 'a'), `${LOCAL}:${port}`, `${LOCAL}:${between} ssl ${tls} verifyhost localhost`),
      await run(join(folder, 'b'), `${LOCAL}:${between} ssl ${tls}`, app),
    );
  }
  const target = { address: LOCAL, port, host: 'localhost' };
  await untilAnswered(target, '/', 20);
  return {
    target,
    pids: started.map(({ pid }) => pid),
    stop: async () => void (await Promise.all(started.map((s) => s.stop()))),
  };
}
