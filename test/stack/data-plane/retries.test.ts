/**
 * What happens when an endpoint fails: tried again where that is safe, answered with a reason where it is not, within budget and time.
 */
import t, { type Test } from 'tap';
import type { RetryConfig } from '../../../proxy/config/retries.ts';
import type { ClusterConfig, ForwardConfig } from '../../../proxy/config/snapshot.ts';
import { answering, okResponse, openWire, rawUpstream, type RawUpstream, type Wire } from '../../support/raw-http.ts';
import {
  change,
  cluster,
  DEFAULT_RETRY,
  destination,
  endpoint,
  route,
  startWorker,
  type TestWorker,
} from '../../support/worker.ts';

type Behaviour = (wire: Wire, index: number) => void;

const serves: Behaviour = answering(() => okResponse('good'));
const resets: Behaviour = (wire) => wire.socket.once('data', () => wire.socket.resetAndDestroy());
const isSilent: Behaviour = () => undefined;
const fails: Behaviour = answering(() => 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');

interface Rig {
  readonly upstreams: RawUpstream[];
  readonly worker: TestWorker;
  connect(): Promise<Wire>;
}

async function rig(
  t: Test,
  behaviours: readonly Behaviour[],
  forward: Partial<ForwardConfig> = {},
  more: Partial<ClusterConfig> = {},
): Promise<Rig> {
  const upstreams: RawUpstream[] = [];
  for (const behaviour of behaviours) upstreams.push(await rawUpstream(behaviour));
  const config = cluster(
    'echo:80',
    upstreams.map((upstream) => endpoint(upstream.port)),
    more,
  );
  const answer = destination('echo:80', config, [route('echo:80', forward)]);
  const listens = [{ name: 'echo:80', address: '127.0.0.1', port: 0 }];
  const worker = await startWorker({ explicitListens: listens }, new Map([['echo:80', answer]]));
  const clients: Wire[] = [];
  t.teardown(async () => {
    for (const client of clients) client.socket.destroy();
    for (const upstream of upstreams) upstream.close();
    await worker.close();
  });
  return {
    upstreams,
    worker,
    connect: async () => {
      const client = await openWire(await worker.port('echo:80'));
      clients.push(client);
      return client;
    },
  };
}

function retry(more: Partial<RetryConfig>): { retry: RetryConfig } {
  return { retry: { ...DEFAULT_RETRY, ...more } };
}

/** Sends one request on a connection of its own; the status line and everything else that came. */
async function ask(rig: Rig, request: string): Promise<string> {
  const client = await rig.connect();
  client.write(request.replace('\r\n', '\r\nConnection: close\r\nHost: a\r\n'));
  return client.closed();
}

const GET = 'GET / HTTP/1.1\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello';

t.test('a reset before the answer is retried elsewhere for a safe method, and not for a POST', async (t) => {
  const r = await rig(t, [resets, serves]);
  for (let i = 0; i < 4; i++) t.match(await ask(r, GET), /^HTTP\/1\.1 200 [^]*good$/);
  const posts = [await ask(r, POST), await ask(r, POST)].sort();
  t.match(posts[0], /^HTTP\/1\.1 200/);
  t.match(posts[1], /^HTTP\/1\.1 503[^]*tulle-reason: upstream-reset/);
});

t.test('a refused connection is retried for every method', async (t) => {
  const gone = await rawUpstream(serves);
  gone.close();
  const r = await rig(t, [serves]);
  const both = cluster('echo:80', [endpoint(gone.port), endpoint(r.upstreams[0]?.port ?? 0)]);
  await r.connect();
  r.worker.apply(change({ clusters: new Map([['echo:80', both]]) }));
  for (let i = 0; i < 4; i++) t.match(await ask(r, POST), /^HTTP\/1\.1 200/);
});

t.test('with nothing to connect to the answer says so, after as many tries as the policy allows', async (t) => {
  const gone = await rawUpstream(serves);
  gone.close();
  const r = await rig(t, [], {}, {});
  await r.connect();
  r.worker.apply(change({ clusters: new Map([['echo:80', cluster('echo:80', [endpoint(gone.port)])]]) }));
  t.match(await ask(r, GET), /^HTTP\/1\.1 503[^]*tulle-reason: connect-failure/);
});

t.test('a status is retried only where the policy says so, and only idempotent methods', async (t) => {
  const plain = await rig(t, [fails, serves]);
  const answers = [await ask(plain, GET), await ask(plain, GET)].map((a) => a.slice(9, 12)).sort();
  t.same(answers, ['200', '503']);
  const asked = await rig(t, [fails, serves], retry({ on: ['retriable-status-codes'], statuses: [503] }));
  for (let i = 0; i < 4; i++) t.match(await ask(asked, GET), /^HTTP\/1\.1 200/);
  const posts = [await ask(asked, POST), await ask(asked, POST)].map((a) => a.slice(9, 12)).sort();
  t.same(posts, ['200', '503']);
});

t.test('an idempotency key makes any method fit for a retry, with the same body', async (t) => {
  const policy = retry({ on: ['gateway-error'], idempotencyKeyHeader: 'idempotency-key' });
  const r = await rig(t, [fails, serves], policy);
  const request = 'POST / HTTP/1.1\r\nIdempotency-Key: 1\r\nContent-Length: 5\r\n\r\nhello';
  for (let i = 0; i < 4; i++) t.match(await ask(r, request), /^HTTP\/1\.1 200/);
  t.ok(r.upstreams[1]?.connections.every((wire) => wire.text.endsWith('\r\n\r\nhello')));
});

t.test('a body over 64 KiB is not kept, so it is not tried again', async (t) => {
  const r = await rig(t, [fails, serves], retry({ on: ['gateway-error'], methods: ['POST'] }));
  const body = 'x'.repeat(100_000);
  const request = `POST / HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const statuses = [await ask(r, request), await ask(r, request)].map((a) => a.slice(9, 12)).sort();
  t.same(statuses, ['200', '503']);
});

t.test('the request timeout answers 504, the per-try timeout tries another endpoint', async (t) => {
  const slow = await rig(t, [isSilent], { timeoutMs: 100 });
  t.match(await ask(slow, GET), /^HTTP\/1\.1 504[^]*tulle-reason: request-timeout/);
  const tries = await rig(t, [isSilent, serves], retry({ perTryTimeoutMs: 100, on: ['gateway-error'] }));
  for (let i = 0; i < 2; i++) t.match(await ask(tries, GET), /^HTTP\/1\.1 200/);
});

/** Answers, and then stops all that is in this process, the sidecar too. */
const answersAndStops: Behaviour = (wire) => {
  serves(wire, 0);
  wire.socket.on('data', () => {
    setImmediate(() => {
      for (const endMs = performance.now() + 300; performance.now() < endMs;);
    });
  });
};

t.test('a sidecar that stands still for longer than a timeout takes the answer that came meanwhile', async (t) => {
  const r = await rig(t, [answersAndStops], { timeoutMs: 100 });
  t.match(await ask(r, GET), /^HTTP\/1\.1 200/);
});

t.test('the retry budget ends a retry storm', async (t) => {
  const policy = retry({ on: ['gateway-error'], attempts: 3 });
  const budget = { retryBudget: { percent: 20, minPerSecond: 1, intervalMs: 10_000 } };
  const r = await rig(t, [answering(() => 'HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n')], policy, budget);
  for (let i = 0; i < 100; i++) await ask(r, GET);
  const upstream = r.upstreams[0]?.connections ?? [];
  const requests = upstream.reduce((sum, wire) => sum + wire.text.split('GET / ').length - 1, 0);
  t.ok(requests <= 130, `${requests} requests for 100: 20 % and a floor of 10`);
  t.ok(requests > 110, 'the budget was used');
});

t.test('a connection that the server closed while idle costs no request', async (t) => {
  const r = await rig(t, [
    (wire) => {
      answering(() => okResponse('good'))(wire);
      wire.socket.on('data', () => setImmediate(() => wire.socket.end()));
    },
  ]);
  const client = await r.connect();
  for (let i = 0; i < 20; i++) {
    const before = client.text.length;
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until((text) => text.slice(before).includes('good'));
  }
  t.equal(client.text.split('200 OK').length - 1, 20);
});

t.test('without an endpoint a request waits for one to come, for a while', async (t) => {
  const upstream = await rawUpstream(serves);
  t.teardown(() => upstream.close());
  const r = await rig(t, []);
  const client = await r.connect();
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await r.worker.message((m) => m.kind === 'want');
  r.worker.apply(
    change({ endpoints: new Map([['echo:80', { cluster: 'echo:80', endpoints: [endpoint(upstream.port)] }]]) }),
  );
  t.match(await client.includes('good'), /^HTTP\/1\.1 200/);
});
