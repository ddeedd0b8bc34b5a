/**
 * HAProxy as a contender: one thread, connections to the next hop shared by all clients, no log.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { untilServed } from './application.ts';
import { freePort, start, type Running } from './processes.ts';
import { isOpaque, speaksHttp2, type Place, type RunningPath, type Scenario } from './scenario.ts';
import { needTool } from './tools.ts';

const LOCAL = '127.0.0.1';

function run(folder: string, mode: 'http' | 'tcp', bind: string, server: string): Promise<Running> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 4096
defaults
  mode ${mode}
  timeout connect 1s
  timeout client 1m
  timeout server 1m
  timeout http-keep-alive 1m${mode === 'http' ? '\n  http-reuse always' : ''}
frontend in
  bind ${bind}
  default_backend next
backend next
  server next ${server}${mode === 'http' ? ' pool-max-conn 256' : ''}
`,
  );
  return start([needTool('haproxy'), '-db', '-q', '-f', file], join(folder, 'output.log'));
}

export async function startHaproxy(scenario: Scenario, place: Place): Promise<RunningPath> {
  const { application, certificates, folder } = place;
  const port = await freePort(LOCAL);
  const app = `${application.address}:${application.port}`;
  const mode = isOpaque(scenario) ? 'tcp' : 'http';
  const plain = speaksHttp2(scenario) ? ' proto h2' : '';
  const secured = speaksHttp2(scenario) ? ' alpn h2' : '';
  const started: Running[] = [];
  if (scenario.hops === 1) {
    started.push(await run(join(folder, 'a'), mode, `${LOCAL}:${port}${plain}`, `${app}${plain}`));
  } else {
    const between = await freePort(LOCAL);
    const tls = `crt ${certificates.both} ca-file ${certificates.ca} verify required ssl-min-ver TLSv1.3${secured}`;
    const next = `${LOCAL}:${between} ssl ${tls} verifyhost localhost no-ssl-reuse`;
    started.push(
      await run(join(folder, 'a'), mode, `${LOCAL}:${port}${plain}`, next),
      await run(join(folder, 'b'), mode, `${LOCAL}:${between} ssl ${tls}`, `${app}${plain}`),
    );
  }
  const target = { address: LOCAL, port, host: 'localhost' };
  await untilServed(scenario, target);
  return {
    target,
    pids: started.map(({ pid }) => pid),
    stop: async () => void (await Promise.all(started.map((s) => s.stop()))),
  };
}
