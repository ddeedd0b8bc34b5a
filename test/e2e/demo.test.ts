/** `tulle demo` and `tulle run` as a newcomer starts them: processes of their own, judged by what they print and leave behind. */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { readMeshFile } from '../../cli/run/mesh-file.ts';
import { isAlive, ROOT, stateFolder, takeTurn, until } from './running-mesh.ts';

const CLI = path.join(ROOT, 'cli/main.ts');

function start(...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  return { child, ended, output: () => output };
}

t.setTimeout(110_000);
const endTurn = await takeTurn();
t.teardown(endTurn);

t.test('the demo ends by itself with a summary and without a failed request', async (t) => {
  const state = stateFolder();
  t.teardown(() => rmSync(state, { recursive: true, force: true }));
  const demo = start('demo', '--duration', '8s', '--rps', '100', '--state-dir', state);
  t.equal(await demo.ended, 0, demo.output());
  const output = demo.output();
  t.match(output, /requests: \d{3,} in [\d.]+ s, 0 failed/);
  const [, v1] = /split reviews: reviews-v1 ([\d.]+)%, reviews-v2 [\d.]+% \(asked for 80\/20\)/.exec(output) ?? [];
  t.ok(Math.abs(Number(v1) - 80) < 9, `400 requests were split ${v1} to the rest`);
  t.match(output, /mTLS: every one of 5 hops/);
  t.match(output, /applied \S+reviews-policy\.yaml/);
  const [, before, after] = /calls to reviews-v2 succeeded ([\d.]+)% before it, ([\d.]+)% after it/.exec(output) ?? [];
  // About 80 calls, of which one in five fails at first. On a busy machine the policy may be in force for a little less than all of them.
  t.ok(
    Number(before) < 95 && Number(after) > 92,
    `a policy that comes while it runs: ${before}% before, ${after}% after`,
  );
  for (const hop of [
    'frontend  catalog',
    'frontend  cart',
    'frontend  reviews-v1',
    'frontend  reviews-v2',
    'cart      catalog',
  ]) {
    t.ok(output.includes(hop), hop);
  }
  t.equal(readMeshFile(state), null, 'nothing claims to run any more');
});

t.test('a runner that is killed takes all its processes with it', async (t) => {
  const state = stateFolder();
  t.teardown(() => rmSync(state, { recursive: true, force: true }));
  const run = start('run', path.join(ROOT, 'examples/shop'), '--state-dir', state);
  await until(
    'some replicas run',
    () => (readMeshFile(state)?.replicas.filter((r) => r.sidecarPid !== null).length ?? 0) >= 4,
  );
  const mesh = readMeshFile(state);
  const pids = [mesh?.controlPlane.pid, ...(mesh?.replicas ?? []).flatMap((r) => [r.appPid, r.sidecarPid])].filter(
    (pid) => pid != null,
  );
  run.child.kill('SIGKILL');
  await run.ended;
  await until('they are gone', () => !pids.some(isAlive));
  t.ok(pids.length >= 5);
});
