/** When another attempt is made, how long it waits, and how many there may be in all. */
import t from 'tap';
import { seededRandom } from '#base/random.ts';
import type { RetryConfig } from '../../../proxy/config/retries.ts';
import type { Failure, FailureKind } from '../../../proxy/exchange/failure.ts';
import { localCounts } from '../../../proxy/exchange/pod-counts.ts';
import { RetryBudget } from '../../../proxy/forwarding/retry-budget.ts';
import { decideRetry, retryDelayMs, type AttemptOutcome } from '../../../proxy/forwarding/retry.ts';

/** What is in force without a TrafficPolicy: only what provably did not reach the application, and resets of safe methods. */
const DEFAULT: RetryConfig = {
  attempts: 2,
  on: ['connect-failure', 'refused-stream'],
  statuses: [],
  perTryTimeoutMs: 0,
  methods: [],
  idempotencyKeyHeader: '',
  safeResets: true,
  backoffBaseMs: 25,
  backoffMaxMs: 250,
};

function on(...conditions: RetryConfig['on'][number][]): RetryConfig {
  return { ...DEFAULT, on: conditions, safeResets: false };
}

function failure(kind: FailureKind, sent: Failure['sent'] = 'nothing'): AttemptOutcome {
  return { kind: 'failure', failure: { kind, side: 'upstream', sent, detail: '' } };
}

function response(status: number, unsentReason = false, retryAfterMs = 0): AttemptOutcome {
  return { kind: 'response', status, grpcStatus: -1, retryAfterMs, unsentReason, isFinal: false };
}

function trailersOnly(grpcStatus: number, unsentReason = false): AttemptOutcome {
  return { kind: 'response', status: 200, grpcStatus, retryAfterMs: 0, unsentReason, isFinal: false };
}

type Row = readonly [
  fact: string,
  policy: RetryConfig | null,
  method: string,
  outcome: AttemptOutcome,
  verdict: string,
  more?: More,
];
interface More {
  readonly key?: boolean;
  readonly lost?: boolean;
  readonly made?: number;
  readonly grpc?: boolean;
  readonly outer?: boolean;
}

const RESET = failure('upstream-reset', 'body');
const GUARDED: RetryConfig = { ...on('5xx'), methods: ['POST'] };

/** What a TrafficPolicy says with `grpc` alone: every call is a POST, so no method has to be named. */
const CALLS: RetryConfig = { ...on(), grpc: ['unavailable', 'deadline-exceeded'] };

const ROWS: readonly Row[] = [
  ['no policy', null, 'GET', failure('connect-failure'), 'no: policy'],
  ['no attempts', { ...DEFAULT, attempts: 0 }, 'GET', failure('connect-failure'), 'no: policy'],
  ['unsent, any method', DEFAULT, 'POST', failure('connect-failure'), 'yes'],
  ['connect timeout', DEFAULT, 'POST', failure('connect-timeout'), 'yes'],
  ['TLS', DEFAULT, 'POST', failure('tls-failure'), 'yes'],
  ['refused stream', DEFAULT, 'POST', failure('refused-stream', 'body'), 'yes'],
  ['refused stream, body gone', DEFAULT, 'POST', failure('refused-stream', 'body'), 'no: body', { lost: true }],
  [
    'refused stream, body gone before any was sent',
    DEFAULT,
    'POST',
    failure('refused-stream'),
    'no: body',
    { lost: true },
  ],
  ['unsent, other condition', on('refused-stream'), 'GET', failure('connect-failure'), 'no: condition'],
  ['unsent counts as reset', on('reset'), 'POST', failure('connect-failure'), 'yes'],
  ['unsent counts as 5xx', on('5xx'), 'POST', failure('refused-stream'), 'yes'],
  ['last attempt made', DEFAULT, 'GET', failure('connect-failure'), 'no: attempts', { made: 3 }],
  ['one attempt left', DEFAULT, 'GET', failure('connect-failure'), 'yes', { made: 2 }],
  ['reset, safe method', DEFAULT, 'GET', RESET, 'yes'],
  ['reset, unsafe method', DEFAULT, 'PUT', RESET, 'no: condition'],
  ['reset, body gone', DEFAULT, 'GET', RESET, 'no: body', { lost: true }],
  ['reset before the first byte', DEFAULT, 'POST', failure('upstream-reset'), 'yes'],
  ['reset asked for, idempotent', on('reset'), 'DELETE', RESET, 'yes'],
  ['reset asked for, not idempotent', on('reset'), 'POST', RESET, 'no: method'],
  ['reset asked for, key', on('reset'), 'POST', RESET, 'yes', { key: true }],
  ['reset as gateway error', on('gateway-error'), 'GET', RESET, 'yes'],
  ['reset as 5xx, own methods', GUARDED, 'POST', RESET, 'yes'],
  ['own methods leave GET out', GUARDED, 'GET', RESET, 'no: method'],
  ['timeout of a try, by default', DEFAULT, 'GET', failure('per-try-timeout', 'head'), 'no: condition'],
  ['timeout of a try', on('gateway-error'), 'GET', failure('per-try-timeout', 'head'), 'yes'],
  ['timeout of a try, POST', on('gateway-error'), 'POST', failure('per-try-timeout', 'head'), 'no: method'],
  ['timeout of the request', on('5xx', 'reset'), 'GET', failure('request-timeout', 'head'), 'no: condition'],
  ['overflow', on('5xx', 'reset'), 'GET', failure('overflow'), 'no: condition'],
  ['no endpoint', on('5xx', 'reset'), 'GET', failure('no-healthy-endpoint'), 'no: condition'],
  ['success', on('5xx'), 'GET', response(200), 'no: condition'],
  ['503 by default', DEFAULT, 'GET', response(503), 'no: condition'],
  ['500 as gateway error', on('gateway-error'), 'GET', response(500), 'no: condition'],
  ['502 as gateway error', on('gateway-error'), 'GET', response(502), 'yes'],
  ['505 as gateway error', on('gateway-error'), 'GET', response(505), 'no: condition'],
  ['500 as 5xx', on('5xx'), 'GET', response(500), 'yes'],
  ['500, POST', on('5xx'), 'POST', response(500), 'no: method'],
  ['500, body gone', on('5xx'), 'PUT', response(500), 'no: body', { lost: true }],
  ['409 listed', { ...on('retriable-status-codes'), statuses: [409] }, 'GET', response(409), 'yes'],
  ['409 listed, not asked for', { ...on('5xx'), statuses: [409] }, 'GET', response(409), 'no: condition'],
  ['503, the peer says unsent', DEFAULT, 'POST', response(503, true), 'yes'],
  ['503, unsent, body gone', DEFAULT, 'POST', response(503, true), 'no: body', { lost: true }],
  ['503, unsent, as 5xx any method', on('5xx'), 'POST', response(503, true), 'yes'],
  ['503, unsent, nothing asked for', on('reset'), 'POST', response(503, true), 'no: condition'],
  ['retry-after, short', on('5xx'), 'GET', response(503, false, 1000), 'yes'],
  ['gRPC status listed', CALLS, 'POST', trailersOnly(14), 'yes', { grpc: true }],
  ['gRPC status listed, the peer says unsent', CALLS, 'POST', trailersOnly(14, true), 'yes', { grpc: true }],
  ['gRPC status listed, body gone', CALLS, 'POST', trailersOnly(14), 'no: body', { grpc: true, lost: true }],
  ['gRPC status listed, last attempt made', CALLS, 'POST', trailersOnly(14), 'no: attempts', { grpc: true, made: 3 }],
  ['gRPC status not listed', CALLS, 'POST', trailersOnly(13), 'no: condition', { grpc: true }],
  ['gRPC status 0', CALLS, 'POST', trailersOnly(0), 'no: condition', { grpc: true }],
  ['no gRPC status asked for', on('5xx'), 'POST', trailersOnly(14), 'no: condition', { grpc: true }],
  ['connect failure is UNAVAILABLE', CALLS, 'POST', failure('connect-failure'), 'yes', { grpc: true }],
  ['connect failure is no status of HTTP', CALLS, 'POST', failure('connect-failure'), 'no: condition'],
  ['reset is UNAVAILABLE', CALLS, 'POST', RESET, 'yes', { grpc: true }],
  ['try timed out', CALLS, 'POST', failure('per-try-timeout', 'head'), 'yes', { grpc: true }],
  ['call timed out', CALLS, 'POST', failure('request-timeout', 'head'), 'no: condition', { grpc: true }],
  [
    'overflow of a call',
    { ...CALLS, grpc: ['resource-exhausted'] },
    'POST',
    failure('overflow'),
    'no: condition',
    { grpc: true },
  ],
  [
    'a hop below tried it again',
    on('5xx'),
    'GET',
    { ...response(503), isFinal: true } as AttemptOutcome,
    'no: tried below',
  ],
  ['a retry of an outer hop', on('5xx'), 'GET', response(503), 'no: outer retry', { outer: true }],
  [
    'a retry of an outer hop, not sent',
    on('connect-failure'),
    'POST',
    failure('connect-failure'),
    'yes',
    { outer: true },
  ],
  ['retry-after, too long', on('5xx'), 'GET', response(503, false, 60_000), 'no: retry-after'],
];

t.test('each outcome gets its verdict', async (t) => {
  const got = ROWS.map(([fact, policy, method, outcome, , more]) => {
    const request = {
      method,
      hasIdempotencyKey: more?.key ?? false,
      replayable: more?.lost !== true,
      isGrpc: more?.grpc ?? false,
      isOuterRetry: more?.outer ?? false,
    };
    return [fact, decideRetry(policy, request, outcome, more?.made ?? 1)];
  });
  t.same(
    got,
    ROWS.map(([fact, , , , verdict]) => [fact, verdict]),
  );
});

t.test('retries wait longer each time, with jitter, and not before retry-after', async (t) => {
  const random = seededRandom(2);
  const most = [0, 1, 2, 3, 9, 1e6].map((retry) =>
    Math.max(...Array.from({ length: 2000 }, () => retryDelayMs(DEFAULT, retry, 0, random))),
  );
  t.same(most.map(Math.round), [25, 75, 175, 250, 250, 250]);
  t.equal(
    retryDelayMs(DEFAULT, 3, 0, () => 0),
    0,
  );
  t.equal(
    retryDelayMs(DEFAULT, 0, 2000, () => 0),
    2000,
  );
});

t.test('a service where everything fails gets a fifth more requests and the floor, not more', async (t) => {
  const config = { percent: 20, minPerSecond: 10, intervalMs: 10_000 };
  const budget = new RetryBudget(config, 5, localCounts());
  const granted: number[] = [];
  for (let nowMs = 5; nowMs < 60_005; nowMs++) {
    budget.countRequest(nowMs);
    // Every request asks for two retries.
    for (let retry = 0; retry < 2; retry++) if (budget.takeRetry(nowMs)) granted.push(nowMs);
  }
  const floor = (config.minPerSecond * config.intervalMs) / 1000;
  t.ok(granted.length <= 60_000 * 0.2 + floor * 6, `${granted.length}`);
  t.ok(granted.length >= 60_000 * 0.2, `${granted.length}`);
  let most = 0;
  for (let start = 5; start < 50_005; start += 500) {
    most = Math.max(most, granted.filter((at) => at >= start && at < start + 10_000).length);
  }
  t.ok(most <= 2000 + 200 + floor, `in any ten seconds: ${most}`);
});

t.test('a quiet service has the floor only, and gets it back when the window has passed', async (t) => {
  const budget = new RetryBudget({ percent: 20, minPerSecond: 1, intervalMs: 10_000 }, 0, localCounts());
  const take = (nowMs: number): number =>
    Array.from({ length: 50 }, () => budget.takeRetry(nowMs)).filter(Boolean).length;
  t.same([take(0), take(10_999), take(11_000), take(11_001)], [10, 0, 10, 0]);
  t.equal(take(1e9), 10, 'after a long pause too');
  const none = new RetryBudget({ percent: 0, minPerSecond: 0, intervalMs: 10_000 }, 0, localCounts());
  none.countRequest(0);
  t.equal(none.takeRetry(0), false);
});
