/**
 * Services that call each other through their sidecars, each with retries of its own: a failure at the end is tried again by the hop next
 * to it and by no other, what a hop leaves of its time is all that the next one has, and strangers have no say in either.
 */
import { createServer, request as ask, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { inboundCluster } from '#api/names.ts';
import type { ForwardConfig } from '../../../proxy/config/snapshot.ts';
import { TestAuthority } from '../../support/identities.ts';
import {
  change,
  cluster,
  DEFAULT_RETRY,
  destination,
  endpoint,
  inboundListener,
  route,
  startWorker,
  type TestWorker,
} from '../../support/worker.ts';

const authority = new TestAuthority();
/** What a mesh propagates and applications hand on. */
const HANDED_ON = ['traceparent', 'x-request-id', 'x-envoy-attempt-count', 'x-envoy-expected-rq-timeout-ms'];

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
}

function get(port: number, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = ask({ host: '127.0.0.1', port, headers, agent: false }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers }));
    });
    asked.once('error', reject);
    asked.end();
  });
}

async function listen(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

const POLICY: Partial<ForwardConfig> = {
  countAttempts: true,
  retry: { ...DEFAULT_RETRY, attempts: 2, on: ['5xx'] },
};
const BUDGET = { retryBudget: { percent: 20, minPerSecond: 1, intervalMs: 10_000 } };

interface Pod {
  readonly worker: TestWorker;
  /** Endpoint of its inbound side. */
  readonly endpoint: ReturnType<typeof endpoint>;
}

/** A pod whose application listens on `appPort` and calls `next`. */
async function pod(
  t: Test,
  name: string,
  address: string,
  appPort: number | null,
  next: ReturnType<typeof endpoint>,
  forward: Partial<ForwardConfig>,
): Promise<Pod> {
  const to = cluster('next:80', [next], BUDGET);
  const worker = await startWorker(
    {
      outbound: null,
      podAddresses: [address],
      explicitListens: [{ name: 'next:80', address: '127.0.0.1', port: 0 }],
      pod: { namespace: 'default', name: `${name}-1`, owner: name, serviceAccount: name },
    },
    new Map([['next:80', destination('next:80', to, [route('next:80', forward)])]]),
  );
  t.teardown(() => worker.close());
  worker.worker.receive({ kind: 'identity', identity: authority.identity(name) });
  worker.apply(change({ trust: authority.trust }));
  if (appPort !== null) {
    const inbound = inboundCluster(appPort);
    worker.apply(
      change({
        clusters: new Map([[inbound, cluster(inbound, [endpoint(appPort)], { discovery: 'static' })]]),
        listeners: new Map([['inbound', inboundListener(appPort, 'STRICT')]]),
      }),
    );
    await worker.port('inbound');
  }
  return { worker, endpoint: endpoint(appPort ?? 0, { address, mtls: true, identity: authority.spiffeId(name) }) };
}

/** An application that answers as its own call was answered. */
async function relay(t: Test, hands: readonly string[], nextPort: () => Promise<number>): Promise<number> {
  const server = createServer((asked, answer) => {
    const headers: Record<string, string> = {};
    for (const name of hands) {
      const value = asked.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    void nextPort()
      .then((port) => get(port, headers))
      .then(({ status }) => answer.writeHead(status).end());
  });
  return listen(t, server);
}

/** Client, A, B, C and, outside of the mesh, D. Port of A's outbound side, and what D was asked. */
async function chain(
  t: Test,
  hands: readonly string[],
  dAnswers: (asked: IncomingMessage, index: number) => number,
  forward: Partial<ForwardConfig> = POLICY,
): Promise<{ readonly port: number; readonly asked: IncomingMessage[] }> {
  const asked: IncomingMessage[] = [];
  const dPort = await listen(
    t,
    createServer((request, answer) => {
      asked.push(request);
      answer.writeHead(dAnswers(request, asked.length - 1)).end();
    }),
  );
  const cPort = await relay(t, hands, () => c.worker.port('next:80'));
  const c: Pod = await pod(t, 'c', '127.0.0.23', cPort, endpoint(dPort), forward);
  const bPort = await relay(t, hands, () => b.worker.port('next:80'));
  const b: Pod = await pod(t, 'b', '127.0.0.22', bPort, c.endpoint, forward);
  const a = await pod(t, 'a', '127.0.0.21', null, b.endpoint, forward);
  return { port: await a.worker.port('next:80'), asked };
}

t.test(
  'three sidecars with retries, the last upstream fails always: at most 1.3 requests reach it for each',
  async (t) => {
    const { port, asked } = await chain(t, HANDED_ON, () => 503);
    const requests = 400;
    for (let i = 0; i < requests; i += 20) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => get(port)));
      t.ok(answers.every(({ status, headers }) => status === 503 && headers['tulle-retried'] === undefined));
    }
    t.ok(asked.length <= requests * 1.3, `${asked.length} for ${requests}`);
    t.ok(asked.length > requests * 1.1, `${asked.length} for ${requests}: the hop next to it did try again`);
  },
);

t.test('the trace alone tells that a failure was tried again already', async (t) => {
  const { port, asked } = await chain(t, ['traceparent'], () => 503, {
    retry: { ...DEFAULT_RETRY, attempts: 2, on: ['5xx'] },
  });
  await get(port);
  t.equal(asked.length, 3, 'one hop tried it three times, and no other');
});

t.test('what failed once is made good by the hop next to it, and is the first try for every other', async (t) => {
  const { port, asked } = await chain(t, HANDED_ON, (_, index) => (index === 0 ? 503 : 200));
  t.equal((await get(port)).status, 200);
  t.same(
    asked.map(({ headers }) => headers['x-envoy-attempt-count']),
    ['1', '2'],
  );
});

t.test('a retry of an outer hop is tried once, whatever the policy of the hops it comes to', async (t) => {
  const { port, asked } = await chain(t, HANDED_ON, () => 503);
  await get(port, { 'x-envoy-attempt-count': '2' });
  t.equal(asked.length, 1);
  t.equal(asked[0]?.headers['x-envoy-attempt-count'], '2');
});

t.test('each hop leaves to the next what is left of its timeout', async (t) => {
  const { port, asked } = await chain(t, HANDED_ON, () => 200, { retry: null, timeoutMs: 5000 });
  await get(port);
  const left = Number(asked[0]?.headers['x-envoy-expected-rq-timeout-ms']);
  t.ok(left > 0 && left <= 5000, `${left} ms`);
  await get(port, { 'x-envoy-expected-rq-timeout-ms': '900' });
  const less = Number(asked[1]?.headers['x-envoy-expected-rq-timeout-ms']);
  t.ok(less > 0 && less <= 900, `${less} ms`);
});

t.test('a hop gives up when the time of the hop before it is over', async (t) => {
  const silent = await listen(
    t,
    createServer(() => undefined),
  );
  const c = await pod(t, 'c', '127.0.0.23', null, endpoint(silent), { retry: null });
  const answer = await get(await c.worker.port('next:80'), { 'x-envoy-expected-rq-timeout-ms': '100' });
  t.same([answer.status, answer.headers['tulle-reason']], [504, 'request-timeout']);
});
