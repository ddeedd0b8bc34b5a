/**
 * Opaque connections through a worker: every way to begin and to end one arrives on the other side as it was.
 */
import t, { type Test } from 'tap';
import { openWire, rawUpstream, type RawUpstream, type Wire } from '../../support/raw-http.ts';
import {
  change,
  cluster,
  endpoint,
  httpListener,
  startWorker,
  tcpListener,
  tcpNetwork,
  type TestWorker,
} from '../../support/worker.ts';
import { NOTHING, openSockets, underWay, until } from './rig.ts';

interface Rig {
  readonly upstream: RawUpstream;
  readonly worker: TestWorker;
  connect(): Promise<Wire>;
}

async function rig(t: Test, onConnection: (wire: Wire) => void, detects = false, connections = 100): Promise<Rig> {
  const gone = await rawUpstream(() => undefined);
  gone.close();
  const upstream = await rawUpstream(onConnection);
  const endpoints = [endpoint(gone.port), endpoint(upstream.port)];
  const limits = { connections, pendingRequests: 1, requests: 1 };
  const name = 'bytes:1';
  const answer = change({
    clusters: new Map([[name, cluster(name, endpoints, { limits })]]),
    listeners: new Map([[name, detects ? httpListener(name, tcpNetwork(name)) : tcpListener(name)]]),
    destinations: new Map([[name, 'ready' as const]]),
  });
  const worker = await startWorker(
    { explicitListens: [{ name, address: '127.0.0.1', port: 0 }] },
    new Map([[name, answer]]),
  );
  const clients: Wire[] = [];
  t.teardown(async () => {
    for (const client of clients) client.socket.destroy();
    upstream.close();
    await worker.close();
  });
  return {
    upstream,
    worker,
    connect: async () => {
      const client = await openWire(await worker.port(name));
      clients.push(client);
      return client;
    },
  };
}

const echoes = (wire: Wire): void => {
  wire.socket.on('data', (chunk: Buffer) => wire.socket.write(chunk));
  wire.socket.on('end', () => wire.socket.end('bye'));
};

t.test('each side may end before the other, whichever endpoint is gone', async (t) => {
  const r = await rig(t, echoes);
  for (let i = 0; i < 4; i++) {
    const client = await r.connect();
    client.write('ping');
    await client.includes('ping');
    client.socket.end();
    t.equal(await client.closed(), 'pingbye');
  }
  await until(() => underWay(r.worker)['inFlight'] === 0, 'all are counted out');
});

t.test('a reset is a reset on the other side, both ways', async (t) => {
  const r = await rig(t, (wire) => wire.write('hello'));
  const one = await r.connect();
  await one.includes('hello');
  one.socket.resetAndDestroy();
  await until(() => r.upstream.connections[0]?.hadError ?? false, 'the upstream sees a reset');
  const two = await r.connect();
  await two.includes('hello');
  r.upstream.connections[1]?.socket.resetAndDestroy();
  await until(() => two.hadError, 'the client sees a reset');
  await until(() => underWay(r.worker)['inFlight'] === 0, 'all are counted out');
  t.same(underWay(r.worker), NOTHING);
});

t.test('bytes and the end at once arrive, on a port whose protocol is looked for too', async (t) => {
  for (const detects of [false, true]) {
    for (const text of ['PI', 'not HTTP at all\n']) {
      const r = await rig(t, echoes, detects);
      const client = await r.connect();
      client.socket.end(text);
      t.equal(await client.closed(), `${text}bye`);
    }
  }
});

t.test('a silent client of an undeclared port hears a server that speaks first', async (t) => {
  const r = await rig(t, (wire) => wire.write('220 ready'), true);
  const client = await r.connect();
  t.equal(await client.includes('ready'), '220 ready');
});

t.test('connections over the limit of the cluster are reset, and count no longer when gone', async (t) => {
  const r = await rig(t, echoes, false, 1);
  const one = await r.connect();
  one.write('a');
  await one.includes('a');
  // The reset may come before the client knows that it is connected.
  await r.connect().then(
    (two) => two.closed(),
    () => '',
  );
  one.socket.end();
  await one.closed();
  await until(() => underWay(r.worker)['inFlight'] === 0, 'the first is gone');
  const three = await r.connect();
  three.write('b');
  t.equal(await three.includes('b'), 'b');
});

t.test('when the worker closes, no end of a pair stays open', async (t) => {
  const before = openSockets();
  const r = await rig(t, (wire) => wire.write('hello'));
  const client = await r.connect();
  await client.includes('hello');
  await r.worker.close();
  await r.upstream.connections[0]?.closed();
  await until(() => client.isClosed, 'the client is closed');
  client.socket.destroy();
  for (const wire of r.upstream.connections) wire.socket.destroy();
  await until(() => openSockets() <= before, 'no socket is left');
  t.pass('none');
});
