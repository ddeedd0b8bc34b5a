/**
 * What a sidecar does for gRPC of its own accord, between a client and applications that are written by hand: deadlines, retries by status,
 * answers of its own, and what it leaves as it is.
 */
import { readFileSync } from 'node:fs';
import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import t, { type Test } from 'tap';
import type { RetryConfig } from '../../proxy/config/retries.ts';
import type { ClusterConfig, RouteConfig } from '../../proxy/config/snapshot.ts';
import { parseGrpcTimeout } from '../../proxy/http/grpc.ts';
import { renderPrometheus } from '../../proxy/telemetry/prometheus.ts';
import {
  cluster,
  DEFAULT_RETRY,
  destination,
  endpoint,
  route,
  startWorker,
  type TestWorker,
} from '../support/worker.ts';
import { NOTHING, underWay, until } from './data-plane/rig.ts';

type Application = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

interface Answer {
  readonly head: Record<string, unknown>;
  /** Null: the head ended the stream. */
  readonly trailers: Record<string, unknown> | null;
  readonly body: string;
  /** Of RST_STREAM; 0: a clean end. */
  readonly resetCode: number | undefined;
}

interface Rig {
  readonly worker: TestWorker;
  /** Headers of the requests that each application got. */
  readonly seen: IncomingHttpHeaders[][];
  /** Calls `/a.B/C` and ends the request at once. */
  call(fields?: Record<string, string>): Promise<Answer>;
}

interface RigOptions {
  readonly cluster?: Partial<ClusterConfig>;
  readonly routes?: readonly RouteConfig[];
  readonly accessLogPath?: string;
}

async function rig(t: Test, applications: readonly Application[], options: RigOptions = {}): Promise<Rig> {
  const seen: IncomingHttpHeaders[][] = applications.map(() => []);
  const servers = applications.map((application, i) => {
    const server = createServer();
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      seen[i]?.push(headers);
      stream.on('error', () => undefined);
      stream.resume();
      application(stream, headers);
    });
    return server;
  });
  for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoints = servers.map((server) => endpoint((server.address() as AddressInfo).port));
  const { accessLogPath } = options;
  const worker = await startWorker(
    {
      explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port: 0 }],
      ...(accessLogPath === undefined ? {} : { accessLog: 'json', accessLogPath }),
    },
    new Map([
      [
        'echo:80',
        destination('echo:80', cluster('echo:80', endpoints, { http2: true, ...options.cluster }), options.routes),
      ],
    ]),
  );
  const session = connect(`http://127.0.0.1:${await worker.port('echo:80')}`);
  t.teardown(async () => {
    session.destroy();
    for (const server of servers) server.close();
    await worker.close();
  });
  return {
    worker,
    seen,
    call: (fields = {}) =>
      new Promise((resolve) => {
        const head = {
          ':method': 'POST',
          ':path': '/a.B/C',
          'content-type': 'application/grpc',
          te: 'trailers',
          ...fields,
        };
        const stream = session.request(head);
        let answer: Answer = { head: {}, trailers: null, body: '', resetCode: 0 };
        stream.on('response', (h) => (answer = { ...answer, head: { ...h } }));
        stream.on('trailers', (trailers) => (answer = { ...answer, trailers: { ...trailers } }));
        stream.on('data', (chunk: Buffer) => (answer = { ...answer, body: answer.body + chunk.latin1Slice() }));
        stream.on('error', () => undefined);
        stream.on('close', () => resolve({ ...answer, resetCode: stream.rstCode }));
        stream.end('message');
      }),
  };
}

function trailersOnly(status: number): Application {
  return (stream) =>
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(status) },
      { endStream: true },
    );
}

function answering(word: string, status = 0): Application {
  return (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status) }));
    stream.end(word);
  };
}

const silent: Application = () => undefined;

/** What is in force when a TrafficPolicy names statuses of calls. */
const RETRY: RetryConfig = { ...DEFAULT_RETRY, on: [], grpc: ['unavailable'] };
const RETRIED = [route('echo:80', { retry: RETRY })];

function counted(worker: TestWorker, name: string): string[] {
  return renderPrometheus(worker.registry)
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`))
    .map(
      (line) =>
        `${/response_code="(\d*)"/.exec(line)?.[1] ?? ''}:${/grpc_status="(\d*)"/.exec(line)?.[1] ?? ''} ${line.split(' ').at(-1)}`,
    )
    .toSorted();
}

t.test(
  'a deadline that is over is answered as trailers only, DEADLINE_EXCEEDED, and the application is told',
  async (t) => {
    const told: (number | undefined)[] = [];
    const r = await rig(t, [(stream) => stream.on('close', () => told.push(stream.rstCode))]);
    const { head, trailers, body, resetCode } = await r.call({ 'grpc-timeout': '500m' });
    t.match(head, {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': '4',
      'grpc-message': /^request-timeout: /,
    });
    t.same([trailers, body, resetCode], [null, '', 0]);
    const leftMs = parseGrpcTimeout(String(r.seen[0]?.[0]?.['grpc-timeout'])) ?? 0;
    t.ok(leftMs > 0 && leftMs <= 500, `${leftMs} ms were left of 500`);
    await until(
      () => JSON.stringify({ ...underWay(r.worker), downstream: 0 }) === JSON.stringify(NOTHING),
      'nothing is under way',
    );
    t.same(counted(r.worker, 'tulle_requests_total'), ['200:4 1']);
    await until(() => told.length === 1, 'the application is told');
    t.same(told, [8], 'CANCEL');
  },
);

t.test('a deadline caps the timeout of the route, and the other way round', async (t) => {
  const r = await rig(t, [silent], { routes: [route('echo:80', { timeoutMs: 100 })] });
  const answers = await Promise.all([
    r.call({ 'grpc-timeout': '1H' }),
    r.call({ 'grpc-timeout': '60000000n' }),
    r.call(),
  ]);
  t.same(
    answers.map(({ head }) => head['grpc-status']),
    ['4', '4', '4'],
  );
});

t.test('a deadline goes on with the answer; the status comes as trailers then', async (t) => {
  const r = await rig(t, [
    (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write('first');
    },
  ]);
  const { head, trailers, body, resetCode } = await r.call({ 'grpc-timeout': '1S' });
  t.same(
    [head[':status'], head['grpc-status'], body, trailers?.['grpc-status'], resetCode],
    [200, undefined, 'first', '4', 0],
  );
  t.same(counted(r.worker, 'tulle_requests_total'), ['200:4 1']);
});

t.test('an answer that breaks off ends with UNAVAILABLE', async (t) => {
  const r = await rig(t, [
    (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write('first', () => setImmediate(() => stream.session?.destroy()));
    },
  ]);
  const { trailers, body, resetCode } = await r.call();
  t.same([body, trailers?.['grpc-status'], resetCode], ['first', '14', 0]);
  t.match(trailers?.['grpc-message'], /^upstream-reset: /);
});

t.test('a deadline that cannot be read is none, and goes on as it came', async (t) => {
  const r = await rig(t, [answering('hi')]);
  const texts = ['100000000m', 'soon', '1s'];
  for (const text of texts) t.equal((await r.call({ 'grpc-timeout': text })).trailers?.['grpc-status'], '0');
  t.same(
    r.seen[0]?.map((headers) => headers['grpc-timeout']),
    texts,
  );
});

t.test('what is wrong before an application was asked is trailers only too', async (t) => {
  const none = await rig(t, [], { cluster: { endpoints: { cluster: 'echo:80', endpoints: [endpoint(1)] } } });
  const refused = await none.call();
  t.match(refused.head, { ':status': 200, 'grpc-status': '14', 'tulle-reason': 'connect-failure' });
  const unrouted = await rig(t, [answering('hi')], { routes: [] });
  t.match((await unrouted.call()).head, { ':status': 200, 'grpc-status': '12', 'tulle-reason': 'no-route' });
  const full = await rig(t, [answering('hi')], {
    cluster: { limits: { connections: 1, pendingRequests: 1, requests: 0 } },
  });
  const over = await full.call();
  t.match(over, {
    head: { ':status': 200, 'grpc-status': '8', 'tulle-reason': 'overflow' },
    trailers: null,
    body: '',
    resetCode: 0,
  });
  t.same(counted(full.worker, 'tulle_requests_total'), ['200:8 1']);
});

t.test('an answer that is no gRPC is left to the client, and counted as what it makes of it', async (t) => {
  const r = await rig(t, [
    (stream) => {
      stream.respond({ ':status': 503, 'content-type': 'text/plain' });
      stream.end('down');
    },
  ]);
  const { head, body } = await r.call();
  t.same([head[':status'], head['grpc-status'], body], [503, undefined, 'down']);
  t.same(counted(r.worker, 'tulle_requests_total'), ['503:14 1']);
});

t.test('a listed status that came first and alone is tried elsewhere', async (t) => {
  const r = await rig(t, [trailersOnly(14), answering('hi')], { routes: RETRIED });
  const answers = [await r.call(), await r.call(), await r.call()];
  t.same(
    answers.map(({ trailers, body }) => [trailers?.['grpc-status'], body]),
    Array.from({ length: 3 }, () => ['0', 'hi']),
  );
  const failed = r.seen[0]?.length ?? 0;
  t.ok(failed > 0);
  t.same(counted(r.worker, 'tulle_retries_total'), [`: ${failed}`]);
  t.same(counted(r.worker, 'tulle_requests_total'), ['200:0 3']);
});

t.test('another status is not tried again, nor is one that comes as trailers', async (t) => {
  for (const application of [trailersOnly(13), answering('late', 14)]) {
    const r = await rig(t, [application], { routes: RETRIED });
    await r.call();
    t.equal(r.seen[0]?.length, 1);
  }
});

t.test(
  'when every try fails the last status goes down; the budget bounds tries; a status that is not named is not tried again',
  async (t) => {
    const down = await rig(t, [trailersOnly(14)], { routes: RETRIED });
    t.match(await down.call(), { head: { 'grpc-status': '14' }, trailers: null });
    t.equal(down.seen[0]?.length, 3, 'two retries');
    const poor = await rig(t, [trailersOnly(14)], {
      routes: RETRIED,
      cluster: { retryBudget: { percent: 0, minPerSecond: 1, intervalMs: 1000 } },
    });
    await poor.call();
    t.equal(poor.seen[0]?.length, 2, 'one retry is left in the budget');
    const guarded = await rig(t, [trailersOnly(14)], {
      routes: [route('echo:80', { retry: { ...RETRY, grpc: ['internal'] } })],
    });
    await guarded.call();
    t.equal(guarded.seen[0]?.length, 1);
  },
);

t.test('each try is told what is left then', async (t) => {
  const r = await rig(t, [trailersOnly(14)], { routes: RETRIED });
  await r.call({ 'grpc-timeout': '20S' });
  const left = (r.seen[0] ?? []).map((headers) => parseGrpcTimeout(String(headers['grpc-timeout'])) ?? 0);
  t.equal(left.length, 3);
  t.same(
    left,
    left.toSorted((a, b) => b - a),
  );
  t.ok((left[0] ?? 0) <= 20_000 && new Set(left).size === 3, left.join(', '));
});

t.test('the access log names the status of a call, and of nothing else', async (t) => {
  const accessLogPath = path.join(t.testdir(), 'access.log');
  const r = await rig(t, [answering('hi', 5)], { accessLogPath });
  await r.call();
  await r.call({ 'content-type': 'application/json' });
  let lines: string[] = [];
  await until(
    () => (lines = readFileSync(accessLogPath, 'utf8').trim().split('\n')).length === 2,
    'two lines are there',
  );
  t.same(
    lines.map((line) => (JSON.parse(line) as { grpc_status?: number }).grpc_status),
    [5, undefined],
  );
  t.same(counted(r.worker, 'tulle_requests_total'), ['200: 1', '200:5 1']);
});
