/**
 * What a client may ask of the sidecar and how long it may take: bodies, heads, silence, answers not read; and what the proxy port refuses.
 */
import t from 'tap';
import { answering, okResponse, openWire, type Wire } from '../../support/raw-http.ts';
import { change, cluster, destination, endpoint } from '../../support/worker.ts';
import { type Behaviour, GET, NOTHING, rig, underWay, until } from './rig.ts';

const serves: Behaviour = answering(() => okResponse('good'));

t.test('a body over the limit is refused with 413, by its length at once and by count in chunks', async (t) => {
  const r = await rig(t, [() => undefined], { limits: { maxBodyBytes: 1000 } });
  const told = await r.connect();
  told.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n');
  t.match(await told.closed(), /^HTTP\/1\.1 413 [^]*tulle-reason: payload-too-large/);
  t.equal(r.upstreams[0]?.connections.length, 0);
  const counted = await r.connect();
  counted.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  const upstream = r.upstreams[0];
  counted.write('1\r\nx\r\n');
  await until(() => upstream?.connections[0]?.text.endsWith('x\r\n') ?? false, 'the first chunk arrives');
  for (let i = 0; i < 10; i++) counted.write(`64\r\n${'x'.repeat(100)}\r\n`);
  t.match(await counted.closed(), /^HTTP\/1\.1 413 [^]*tulle-reason: payload-too-large/);
  t.notMatch(await upstream?.connections[0]?.closed(), /\r\n0\r\n/);
  t.same({ ...underWay(r.worker), downstream: 0 }, NOTHING);
});

t.test('a body of just the limit passes', async (t) => {
  const r = await rig(t, [serves], { limits: { maxBodyBytes: 5 } });
  const client = await r.connect();
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
  t.match(await client.includes('good'), /^HTTP\/1\.1 200/);
});

t.test(
  'a head that does not get on is answered with 408, an idle client is let go, though it never ends its side',
  async (t) => {
    const r = await rig(t, [serves], { limits: { headTimeoutMs: 100 }, settings: { downstreamIdleMs: 100 } });
    const slow = await r.connect();
    slow.write(GET.slice(0, 20));
    const idle = await r.connect();
    idle.write(GET);
    t.match(await slow.closed(), /^HTTP\/1\.1 408/);
    t.match(await idle.closed(), /good$/);
    await until(() => underWay(r.worker)['downstream'] === 0, 'both are gone');
  },
);

t.test('connections over the limit are closed at once', async (t) => {
  const r = await rig(t, [serves], { limits: { maxConnections: 2 } });
  const clients = await Promise.all([r.connect(), r.connect()]);
  for (const client of clients) client.write(GET);
  for (const client of clients) await client.includes('good');
  await (await r.connect()).closed();
  t.pass('the third was closed');
});

t.test('a client that pipelines and does not read gets no more requests read: what waits stays bounded', async (t) => {
  let asked = 0;
  const answer = okResponse('y'.repeat(20_000));
  const r = await rig(t, [
    answering(() => {
      asked++;
      return answer;
    }),
  ]);
  const client = await r.connect();
  client.socket.pause();
  const total = 3000;
  client.write(GET.repeat(total));
  let last = -1;
  for (let same = 0; same < 5;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    same = asked === last && asked > 0 ? same + 1 : 0;
    last = asked;
  }
  t.ok(asked * answer.length < 32 * 1024 * 1024, `the proxy stood still after ${asked} of ${total}`);
  client.socket.removeAllListeners('data');
  let got = 0;
  client.socket.on('data', (chunk: Buffer) => (got += chunk.length));
  client.socket.resume();
  await until(() => got >= total * answer.length, 'all are answered in the end');
  t.equal(asked, total);
});

t.test('a body in chunks of one byte arrives whole', async (t) => {
  const r = await rig(t, [() => undefined]);
  const client = await r.connect();
  const total = 30_000;
  client.write(
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\nX\r\n'.repeat(total)}0\r\n\r\n`,
  );
  await until(() => r.upstreams[0]?.connections[0]?.text.endsWith('\r\n0\r\n\r\n') ?? false, 'its end arrives');
  t.equal(r.upstreams[0]?.connections[0]?.text.split('X').length, total + 1);
});

t.test('an answer that ends the connection is told whole to a client that takes seconds to read it', async (t) => {
  const size = 16 * 1024 * 1024;
  const r = await rig(t, [answering(() => okResponse('z'.repeat(size)))]);
  const client = await r.connect();
  client.socket.pause();
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  client.socket.resume();
  t.ok((await client.closed()).length > size);
});

async function proxied(wire: Wire, target: string, method = 'GET'): Promise<string> {
  const host = target.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  wire.write(`${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return wire.closed();
}

t.test('the proxy port passes on what is outside, and refuses itself, TLS and CONNECT', async (t) => {
  const r = await rig(t, [serves], { settings: { unknownDestinations: 'passthrough' } });
  const port = await r.worker.port('outbound');
  const outside = `127.0.0.1:${r.upstreams[0]?.port ?? 0}`;
  const ask = async (target: string, method?: string): Promise<string> => proxied(await openWire(port), target, method);
  const answers = ask(`http://${outside}/x`);
  const wanted = await r.worker.message((m) => m.kind === 'want' && m.destination === outside);
  t.equal(wanted.kind, 'want');
  r.worker.apply(change({ destinations: new Map([[outside, 'unknown' as const]]) }));
  t.match(await answers, /^HTTP\/1\.1 200 [^]*good$/);
  for (const own of [`127.0.0.1:${port}`, `localhost:${port}`]) {
    r.worker.apply(change({}));
    const looped = ask(`http://${own}/`);
    await r.worker.message((m) => m.kind === 'want' && m.destination === own);
    r.worker.apply(change({ destinations: new Map([[own, 'unknown' as const]]) }));
    t.match(await looped, /^HTTP\/1\.1 508/);
  }
  t.match(await ask(`https://${outside}/x`), /^HTTP\/1\.1 400/);
  t.match(await ask(outside, 'CONNECT'), /^HTTP\/1\.1 501/);
});

t.test('a destination let go while a request asks for it again is asked for once more', async (t) => {
  const r = await rig(t, [serves]);
  const port = await r.worker.port('outbound');
  const client = await openWire(port);
  t.teardown(() => client.socket.destroy());
  client.write('GET http://late:80/ HTTP/1.1\r\nHost: late\r\n\r\n');
  const wants = (): number => r.worker.messages.filter((m) => m.kind === 'want' && m.destination === 'late:80').length;
  await until(() => wants() === 1, 'it is wanted');
  r.worker.apply(change({ destinations: new Map([['late:80', 'released' as const]]) }));
  t.equal(wants(), 2);
  r.worker.apply(destination('late:80', cluster('late:80', [endpoint(r.upstreams[0]?.port ?? 0)])));
  t.match(await client.includes('good'), /^HTTP\/1\.1 200/);
});

t.test('what the server says of its keep-alive is kept to', async (t) => {
  const r = await rig(t, [answering(() => okResponse('good', 'Keep-Alive: timeout=1\r\n'))]);
  const client = await r.connect();
  for (let i = 1; i <= 3; i++) {
    client.write(GET);
    await client.until((text) => text.split('good').length === i + 1);
  }
  t.equal(r.upstreams[0]?.connections.length, 3, 'a second less than a second: never used again');
});
