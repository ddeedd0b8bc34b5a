/**
 * Clients that leave before the sidecar knows where they wanted to go leave nothing behind.
 */
import t from 'tap';
import { GET as FIELDS, headers, openDialogue, rstStream } from '../../support/h2-dialogue.ts';
import { answering, okResponse, openWire, rawUpstream } from '../../support/raw-http.ts';
import { cluster, destination, endpoint, startWorker } from '../../support/worker.ts';
import { openSockets, until } from './rig.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

for (const [how, leave] of [
  ['ends', 'destroy'],
  ['resets', 'resetAndDestroy'],
] as const) {
  for (const said of ['', GET]) {
    t.test(`a client that ${how} while its destination is waited for, having said ${said.length} bytes`, async (t) => {
      const upstream = await rawUpstream(answering(() => okResponse('good')));
      const w = await startWorker({ explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port: 0 }] });
      t.teardown(async () => {
        upstream.close();
        await w.close();
      });
      const port = await w.port('echo:80');
      const before = openSockets();
      const client = await openWire(port);
      client.write(said);
      await w.message((m) => m.kind === 'want');
      client.socket[leave]();
      await client.closed();
      // Until the end has been read.
      await new Promise((resolve) => setTimeout(resolve, 50));
      w.apply(destination('echo:80', cluster('echo:80', [endpoint(upstream.port)])));
      await until(() => w.worker.describe().connections.outbound === 0, 'its request is over');
      // An answer to nobody leaves a connection to the upstream, for the next request.
      upstream.close();
      await until(() => openSockets() <= before, 'its socket is closed');
      t.pass('nothing is open');
    });
  }
}

t.test('a connection that comes about when nobody wants it any more is let go when it is idle', async (t) => {
  const upstream = await rawUpstream(answering(() => okResponse('good')));
  const w = await startWorker(
    { explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port: 0 }], appIdleMs: 200, peerIdleMs: 200 },
    new Map([['echo:80', destination('echo:80', cluster('echo:80', [endpoint(upstream.port)]))]]),
  );
  t.teardown(async () => {
    upstream.close();
    await w.close();
  });
  const port = await w.port('echo:80');
  const dialogue = await openDialogue(port);
  t.teardown(() => dialogue.destroy());
  // In one read: taken back while the connection to the upstream is still being made.
  dialogue.send(headers(1, FIELDS) + rstStream(1));
  await until(() => upstream.connections.length > 0, 'one came about');
  await until(() => upstream.connections.every((wire) => wire.isClosed), 'all are closed');
  t.pass(`${upstream.connections.length} connections`);
});
