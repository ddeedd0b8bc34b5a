/**
 * The ends of things: brakes, retries, changes and closings leave nothing behind, neither a count nor a connection that hangs.
 */
import t from 'tap';
import { seededRandom } from '#base/random.ts';
import { answering, okResponse, rawUpstream, type Wire } from '../../support/raw-http.ts';
import { change, cluster, DEFAULT_RETRY, endpoint, route } from '../../support/worker.ts';
import { type Behaviour, GET, NOTHING, openSockets, rig, underWay, until } from './rig.ts';

/** One read of a socket, and as much as a socket takes before it asks to wait: written at once, it puts the brake on at its last byte. */
const ONE_READ = 65_536;
const serves: Behaviour = answering(() => okResponse('good'));

t.test('a brake that the last bytes of an answer put on does not hold the next request', async (t) => {
  const r = await rig(t, [
    answering((_head, index) =>
      index === 0 ? `HTTP/1.1 200 OK\r\nContent-Length: ${ONE_READ + 5}\r\n\r\nfirst` : okResponse('next'),
    ),
  ]);
  const client = await r.connect();
  client.write(GET);
  await client.includes('first');
  r.upstreams[0]?.connections[0]?.write('x'.repeat(ONE_READ));
  await client.until((text) => text.length > ONE_READ);
  client.write(GET);
  await client.includes('next');
  t.equal(r.upstreams[0]?.connections.length, 1);
});

t.test(
  'a brake that the last bytes of an upload put on does not hold the next request, pipelined or not',
  async (t) => {
    for (const pipelined of [true, false]) {
      const whole: Behaviour = (wire) => {
        wire.socket.on('data', () => {
          if (wire.text.endsWith('x') && wire.text.length > ONE_READ) wire.write(okResponse('thanks'));
          else if (wire.text.endsWith('\r\n\r\n') && wire.text.includes('GET /')) wire.write(okResponse('good'));
        });
      };
      const r = await rig(t, [whole]);
      const client = await r.connect();
      client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${ONE_READ + 5}\r\n\r\nfirst`);
      await until(() => r.upstreams[0]?.connections[0]?.text.endsWith('first') ?? false, 'the first bytes arrive');
      client.write('x'.repeat(ONE_READ) + (pipelined ? GET : ''));
      await client.includes('thanks');
      if (!pipelined) client.write(GET);
      await client.includes('good');
    }
    t.pass('nobody hangs');
  },
);

t.test('trailers are told to whom they belong, though another request waits for the connection', async (t) => {
  const r = await rig(
    t,
    [
      answering(
        (head) =>
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Of: ${head.split(' ')[1] ?? ''}\r\n\r\n`,
      ),
    ],
    { cluster: { limits: { connections: 1, pendingRequests: 10, requests: 10 } } },
  );
  const clients = await Promise.all([r.connect(), r.connect(), r.connect()]);
  for (const [i, client] of clients.entries()) client.write(`GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
  const texts = await Promise.all(clients.map((client) => client.until((text) => text.endsWith('\r\n\r\n'))));
  texts.forEach((text, i) => t.match(text, new RegExp(`x-of: /${i}\r\n\r\n$`)));
  t.equal(r.upstreams[0]?.connections.length, 1);
});

t.test('requests that the limit made wait behind a connection that fails are answered too', async (t) => {
  const gone = await rawUpstream(serves);
  gone.close();
  const limits = { connections: 1, pendingRequests: 10, requests: 10 };
  const r = await rig(t, [], {
    cluster: { endpoints: { cluster: 'echo:80', endpoints: [endpoint(gone.port)] }, limits },
  });
  const clients = await Promise.all([r.connect(), r.connect(), r.connect()]);
  for (const client of clients) client.write(GET);
  for (const client of clients) t.match(await client.includes('tulle-reason'), /tulle-reason: connect-failure/);
  t.same({ ...underWay(r.worker), downstream: 0 }, NOTHING);
});

t.test('more requests than may wait are answered with overflow, the others served', async (t) => {
  const waiting: Wire[] = [];
  const r = await rig(t, [(wire) => waiting.push(wire)], {
    cluster: { limits: { connections: 1, pendingRequests: 2, requests: 10 } },
  });
  const clients: Wire[] = [];
  for (let i = 0; i < 4; i++) {
    const client = await r.connect();
    clients.push(client);
    client.write(GET);
    if (i === 0) await until(() => waiting[0]?.text.includes('\r\n\r\n') ?? false, 'the first is under way');
  }
  const [first] = waiting;
  await until(() => clients.some((client) => client.text.includes('overflow')), 'one is too many');
  first?.socket.on('data', () => first.write(okResponse('good')));
  first?.write(okResponse('good'));
  const texts = await Promise.all(clients.map((client) => client.until((text) => /good|too many/.test(text))));
  t.same(texts.map((text) => text.slice(9, 12)).sort(), ['200', '200', '200', '503']);
});

t.test('an answer that is tried again costs no connection, and hands no dead one to who waits', async (t) => {
  let answers = 0;
  const r = await rig(
    t,
    [
      answering(() =>
        answers++ % 2 === 0 ? 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nnope' : okResponse('good'),
      ),
    ],
    {
      cluster: {
        limits: { connections: 1, pendingRequests: 50, requests: 50 },
        retryBudget: { percent: 100, minPerSecond: 100, intervalMs: 10_000 },
      },
      routes: [route('echo:80', { retry: { ...DEFAULT_RETRY, attempts: 8, on: ['5xx'], methods: ['GET'] } })],
    },
  );
  const clients = await Promise.all(Array.from({ length: 10 }, () => r.connect()));
  for (const client of clients) client.write(GET);
  for (const client of clients) t.match(await client.includes('good'), /^HTTP\/1\.1 200/);
  t.equal(r.upstreams[0]?.connections.length, 1);
});

t.test('a changed policy takes nothing from requests that wait, and keeps connections', async (t) => {
  const waiting: Wire[] = [];
  const limits = { connections: 1, pendingRequests: 10, requests: 10 };
  const r = await rig(t, [(wire) => waiting.push(wire)], { cluster: { limits } });
  const [one, two] = [await r.connect(), await r.connect()];
  one.write(GET);
  await until(() => waiting[0]?.text.includes('\r\n\r\n') ?? false, 'the first is under way');
  two.write(GET);
  await until(() => underWay(r.worker)['pendingRequests'] === 1, 'the second waits');
  const endpoints = [endpoint(r.upstreams[0]?.port ?? 0)];
  const next = cluster('echo:80', endpoints, { limits: { ...limits, requests: 20 } });
  r.worker.apply(change({ clusters: new Map([['echo:80', next]]) }));
  // Nor does an endpoint that is reached in another way from now on.
  const last = cluster('echo:80', endpoints, { limits, connectTimeoutMs: 700 });
  r.worker.apply(change({ clusters: new Map([['echo:80', last]]) }));
  for (const client of [one, two]) {
    waiting[0]?.write(okResponse('good'));
    t.match(await client.includes('good'), /^HTTP\/1\.1 200/);
  }
  t.equal(waiting.length, 1);
  t.same({ ...underWay(r.worker), downstream: 0 }, NOTHING);
});

t.test('a request that waits for a first endpoint gets it from a changed policy as well', async (t) => {
  const upstream = await rawUpstream(serves);
  t.teardown(() => upstream.close());
  const r = await rig(t, []);
  const client = await r.connect();
  client.write(GET);
  await until(() => underWay(r.worker)['activeRequests'] === 1, 'it waits');
  r.worker.apply(change({ clusters: new Map([['echo:80', cluster('echo:80', [endpoint(upstream.port)])]]) }));
  t.match(await client.includes('good'), /^HTTP\/1\.1 200/);
});

t.test('a pipelined request is not refused for the one before it, with a limit of one', async (t) => {
  const r = await rig(t, [serves], { cluster: { limits: { connections: 1, pendingRequests: 1, requests: 1 } } });
  const client = await r.connect();
  client.write(GET.repeat(20));
  const text = await client.until((all) => all.split('good').length === 21 || all.includes('503'));
  t.notMatch(text, / 503 /);
});

t.test('an answer that comes early is told whole, and neither connection is used again', async (t) => {
  const r = await rig(t, [
    (wire, index) => {
      if (index > 0) serves(wire, index);
      else wire.socket.once('data', () => wire.write(okResponse('y'.repeat(100_000))));
    },
  ]);
  const client = await r.connect();
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\npart of it');
  const text = await client.closed();
  t.ok(text.endsWith('y'.repeat(100_000)));
  await r.upstreams[0]?.connections[0]?.closed();
  const next = await r.connect();
  next.write(GET);
  await next.includes('good');
  t.equal(r.upstreams[0]?.connections.length, 2);
});

t.test('an upload that is cut off is cut off for the upstream: never a last chunk', async (t) => {
  for (const cut of ['end', 'reset'] as const) {
    const r = await rig(t, [() => undefined]);
    const client = await r.connect();
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await until(() => r.upstreams[0]?.connections[0]?.text.includes('hello') ?? false, 'the first chunk arrives');
    if (cut === 'end') client.socket.end();
    else client.socket.resetAndDestroy();
    t.notMatch(await r.upstreams[0]?.connections[0]?.closed(), /\r\n0\r\n/);
    await until(() => underWay(r.worker)['activeRequests'] === 0, 'it is over');
  }
});

t.test('after a storm of resets, timeouts, retries and changes nothing is under way and nothing is open', async (t) => {
  const before = openSockets();
  const random = seededRandom(7);
  const dice = (sides: number): number => Math.floor(random() * sides);
  const chaos: Behaviour = (wire) => {
    wire.socket.on('data', () => {
      if (!wire.text.includes('\r\n\r\n')) return;
      const what = dice(10);
      if (what === 0) wire.socket.resetAndDestroy();
      else if (what === 1) wire.socket.end();
      else if (what === 2) wire.write('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');
      else if (what === 3) wire.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf');
      else if (what === 4) wire.write('nonsense\r\n\r\n');
      else if (what !== 5) wire.write(okResponse('good', dice(2) === 0 ? 'connection: close\r\n' : ''));
    });
  };
  const gone = await rawUpstream(chaos);
  gone.close();
  const retry = {
    ...DEFAULT_RETRY,
    attempts: 3,
    on: ['5xx', 'reset', 'connect-failure'] as const,
    perTryTimeoutMs: 50,
  };
  const limits = { connections: 8, pendingRequests: 8, requests: 40 };
  const r = await rig(t, [chaos, chaos, chaos], {
    cluster: { limits },
    routes: [route('echo:80', { timeoutMs: 150, idleTimeoutMs: 150, retry: { ...retry, methods: ['GET', 'POST'] } })],
  });
  const all = [...r.upstreams.map((u) => endpoint(u.port)), endpoint(gone.port)];
  const clients: Wire[] = [];
  for (let i = 0; i < 400; i++) {
    const client = await r.connect();
    clients.push(client);
    const body = dice(3) === 0 ? 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n' : GET;
    client.write(body);
    if (body !== GET && dice(2) === 0) client.write('0\r\n\r\n');
    if (dice(4) === 0) client.write(GET);
    if (dice(5) === 0) setImmediate(() => client.socket.resetAndDestroy());
    if (dice(10) === 0) {
      const endpoints = all.filter(() => dice(4) > 0);
      r.worker.apply(change({ endpoints: new Map([['echo:80', { cluster: 'echo:80', endpoints }]]) }));
    }
    if (dice(30) === 0) {
      const next = cluster('echo:80', all, { limits, connectTimeoutMs: 400 + dice(2) });
      r.worker.apply(change({ clusters: new Map([['echo:80', next]]) }));
    }
  }
  await until(() => underWay(r.worker)['activeRequests'] === 0, 'every request is over');
  for (const client of clients) client.socket.destroy();
  await until(() => underWay(r.worker)['downstream'] === 0, 'every client is gone');
  t.same(underWay(r.worker), NOTHING);
  r.worker.apply(change({ endpoints: new Map([['echo:80', { cluster: 'echo:80', endpoints: [] }]]) }));
  await until(() => r.worker.worker.describe().clusters[0]?.connections === 0, 'every connection is counted out');
  for (const upstream of r.upstreams) upstream.close();
  await until(() => openSockets() <= before, `no socket is left of ${openSockets()}, ${before} before`);
});
