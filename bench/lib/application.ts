/**
 * The application of a scenario, and when a path to it is up: nginx for HTTP, grpc-js for calls, our own for bytes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { answersOnce } from './bytes.ts';
import { answersHttp2 } from './h2load.ts';
import { startNginxApplication } from './nginx.ts';
import { start, untilAnswered, type Running } from './processes.ts';
import { isOpaque, speaksHttp2, type Scenario, type Target } from './scenario.ts';
import { GRPC_PORT_VARIABLE } from '../soak/names.ts';

const READY_MS = 15_000;
const HERE = import.meta.dirname;

export async function startApplication(
  scenario: Scenario,
  folder: string,
  address: string,
  port: number,
): Promise<Running> {
  const target = { address, port, host: 'localhost' };
  const started = await run(scenario, folder, address, port);
  await untilServed(scenario, target);
  return started;
}

function run(scenario: Scenario, folder: string, address: string, port: number): Promise<Running> {
  const log = `${folder}.log`;
  if (isOpaque(scenario)) return start([process.execPath, join(HERE, 'bytes.ts'), address, String(port)], log);
  if (scenario.protocol !== 'grpc') return startNginxApplication(folder, address, port, speaksHttp2(scenario));
  const env = { POD_IP: address, [GRPC_PORT_VARIABLE]: String(port) };
  return start([process.execPath, join(HERE, '../soak/app.ts')], log, env);
}

/** Resolves when a request comes through. */
export async function untilServed(scenario: Scenario, target: Target): Promise<void> {
  if (scenario.protocol === 'http1') {
    await untilAnswered(target, '/', 20);
    return;
  }
  const answers = isOpaque(scenario) ? answersOnce : answersHttp2;
  const deadline = performance.now() + READY_MS;
  while (!(await answers(target, scenario))) {
    if (performance.now() > deadline) throw new Error(`${target.address}:${target.port} does not answer`);
    await sleep(50);
  }
}
