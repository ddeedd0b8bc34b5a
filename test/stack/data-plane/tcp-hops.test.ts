/**
 * Opaque connections over two workers with mutual TLS between them: ends and resets of either side arrive at the other as they were,
 * and nothing is left of any of them.
 */
import t, { type Test } from 'tap';
import { TestAuthority } from '../../support/identities.ts';
import type { Wire } from '../../support/raw-http.ts';
import { counted } from '../../support/samples.ts';
import { workerMesh, type WorkerMesh } from '../../support/worker-mesh.ts';
import { descriptors, NOTHING, underWay, until } from './rig.ts';

const POD_ADDRESS = '127.0.0.21';
const authority = new TestAuthority();
/** `TULLE_CYCLES=10000` for the whole measure; fewer show the same in a moment. */
const CYCLES = Number(process.env['TULLE_CYCLES'] ?? 400);
const AT_ONCE = 20;
/** What the runtime may open of its own meanwhile. */
const SLACK = 4;

const mesh = (t: Test, onConnection: (wire: Wire) => void): Promise<WorkerMesh> =>
  workerMesh(t, { authority, podAddress: POD_ADDRESS, mode: 'STRICT', opaque: true }, onConnection);

/** How many connections ended so, at both workers. */
function ended({ client, server }: WorkerMesh, reason: string): readonly number[] {
  return [client, server].map((worker) => counted(worker, 'tulle_tcp_connections_total', `reason="${reason}"`));
}

t.test('either side may end first, and hears the rest of the other', async (t) => {
  const m = await mesh(t, (wire) => {
    wire.socket.on('data', (chunk: Buffer) => {
      if (chunk.includes('end first')) wire.socket.end('that was all');
    });
    wire.socket.on('end', () => wire.socket.end('after your end'));
  });
  const one = await m.connect();
  one.socket.end('hello');
  t.equal(await one.closed(), 'after your end');
  t.equal(m.app.connections[0]?.text, 'hello');
  const two = await m.connect();
  two.write('end first');
  t.equal(await two.closed(), 'that was all');
  two.socket.end('and this is mine');
  await until(() => m.app.connections[1]?.text === 'end firstand this is mine', 'the rest arrives after the end');
  await until(() => ended(m, '').join() === '2,2', 'both are counted as well ended, at both sidecars');
  t.match(ended(m, 'downstream-reset'), [0, 0]);
});

t.test('a reset of either side is one at the other, and each sidecar says which side it was', async (t) => {
  const m = await mesh(t, (wire) => wire.write('hello'));
  const one = await m.connect();
  await one.includes('hello');
  one.socket.resetAndDestroy();
  await until(() => m.app.connections[0]?.hadError === true, 'the application sees a reset');
  const two = await m.connect();
  await two.includes('hello');
  m.app.connections[1]?.socket.resetAndDestroy();
  await until(() => two.hadError, 'the client sees a reset');
  await until(() => ended(m, 'downstream-reset').join() === '1,1', "the client's");
  await until(() => ended(m, 'upstream-reset').join() === '1,1', "the application's");
});

t.test('an application that does not listen is a reset for the client, never a clean end', async (t) => {
  const m = await mesh(t, () => undefined);
  m.app.close();
  const wire = await m.connect();
  await until(() => wire.hadError, 'the client sees a reset');
  t.equal(wire.text, '');
  t.same(ended(m, 'connect-failure'), [0, 1]);
  t.same(ended(m, 'upstream-reset'), [1, 0]);
});

t.test(
  `${CYCLES} connections, ended in every way, leave no descriptor behind`,
  { skip: process.platform !== 'linux' && 'descriptors are counted in /proc, which only Linux has', timeout: 300_000 },
  async (t) => {
    const m = await mesh(t, (wire) => {
      wire.socket.on('data', (chunk: Buffer) => {
        if (chunk.includes('reset')) wire.socket.resetAndDestroy();
        else wire.socket.write(chunk);
      });
      wire.socket.on('end', () => wire.socket.end());
    });
    const cycle = async (way: number): Promise<void> => {
      const wire = await m.connect();
      wire.write(way === 0 ? 'reset' : 'hello');
      if (way === 0) await until(() => wire.isClosed, 'the application resets it');
      else {
        await wire.includes('hello');
        if (way === 1) wire.socket.resetAndDestroy();
        else wire.socket.end();
        await until(() => wire.socket.destroyed, 'it is over');
      }
    };
    const cycles = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i += AT_ONCE)
        await Promise.all(Array.from({ length: AT_ONCE }, (_, k) => cycle(k % 4)));
      await until(
        () => counted(m.client, 'tulle_tcp_connections') + counted(m.server, 'tulle_tcp_connections') === 0,
        'over',
      );
    };
    await cycles(100);
    const before = descriptors();
    const startMs = performance.now();
    await cycles(CYCLES);
    await until(() => descriptors() <= before + SLACK, `back to ${before} descriptors, not ${descriptors()}`);
    t.comment(
      `${CYCLES} cycles in ${Math.round(performance.now() - startMs)} ms; ${before} descriptors, then ${descriptors()}`,
    );
    for (const worker of [m.client, m.server]) t.same(underWay(worker), NOTHING);
    t.equal(ended(m, 'downstream-reset')[0], ended(m, 'downstream-reset')[1]);
  },
);
