/** One try: what is counted for its endpoint while it runs, and what its endpoint's observer is told when it ends. */
import t from 'tap';
import { PeakEwma } from '#base/ewma.ts';
import { FakeClock } from '#base/fake-clock.ts';
import type { UpstreamStream } from '../../../proxy/exchange/stream.ts';
import type { UpstreamEndpoint } from '../../../proxy/exchange/upstream.ts';
import { responseHead } from '../../../proxy/exchange/local-answer.ts';
import { Attempt, type AnswerSink, type AttemptOwner } from '../../../proxy/forwarding/attempt.ts';
import { HeaderList } from '../../../proxy/http/headers.ts';
import { EMPTY_BODY } from '../../../proxy/http/message.ts';
import { endpoint as endpointConfig } from '../../support/worker.ts';

interface Play {
  readonly clock: FakeClock;
  readonly attempt: Attempt;
  readonly endpoint: UpstreamEndpoint;
  readonly told: unknown[];
  readonly heard: string[];
  readonly stream: UpstreamStream;
  readonly done: string[];
}

/** @param atOnce whether the endpoint has a stream at once */
function play(atOnce: boolean, mtls = false): Play {
  const clock = new FakeClock();
  const told: unknown[] = [];
  const heard: string[] = [];
  const done: string[] = [];
  const stream: UpstreamStream = {
    reused: false,
    writeHead: () => undefined,
    writeData: () => true,
    end: () => undefined,
    reset: () => done.push('reset'),
    pauseResponse: () => undefined,
    resumeResponse: () => undefined,
    tunnel: () => undefined,
  };
  const endpoint: UpstreamEndpoint = {
    config: endpointConfig(1, { mtls }),
    inFlight: 0,
    latency: new PeakEwma(30, 10_000, 0),
    sinceMs: 0,
    available: true,
    passing: true,
    meters: { request: () => undefined, retry: () => undefined, hedge: () => undefined },
    observer: { attemptOver: (...facts) => told.push(facts) },
    acquire: () => (atOnce ? stream : null),
    cancel: () => done.push('taken back'),
  };
  const sink: AnswerSink = {
    onAnswerData: () => heard.push('data'),
    onAnswerEnd: () => heard.push('end'),
    onAnswerBroken: (kind) => heard.push(`broken ${kind}`),
  };
  const owner: AttemptOwner = {
    onAttemptOpen: () => heard.push('open'),
    onAttemptInterim: () => heard.push('interim'),
    onAttemptHead: (answered, _head, kind) => {
      heard.push(`head ${kind ?? '-'}`);
      answered.deliver(sink);
    },
    onAttemptDrain: () => heard.push('drain'),
    onAttemptFailure: (_attempt, kind) => heard.push(kind),
  };
  const attempt = new Attempt(owner, endpoint, clock, clock.now());
  attempt.start();
  return { clock, attempt, endpoint, told, heard, stream, done };
}

const head = (status: number, fields: string[] = []) => responseHead(status, new HeaderList(fields), EMPTY_BODY);

t.test('an answered try is told with both statuses, once, after its last byte', async (t) => {
  const { attempt, endpoint, told, heard, clock } = play(true);
  t.equal(endpoint.inFlight, 1);
  attempt.onResponseHead(head(200));
  t.same(told, [], 'not before its end');
  clock.advance(5);
  attempt.onResponseEnd(new HeaderList(['grpc-status', '14']));
  attempt.cancel();
  t.same(told, [[200, 14, null, 5]]);
  t.same(heard, ['open', 'head -', 'end']);
  t.equal(endpoint.inFlight, 0);
});

t.test('a try that broke is told with its failure, whether or not an answer had begun', async (t) => {
  const before = play(true);
  before.attempt.onUpstreamFailure('upstream-reset', 'head', '');
  t.same(before.told, [[0, -1, 'upstream-reset', 0]]);
  const after = play(true);
  after.attempt.onResponseHead(head(200));
  after.attempt.onUpstreamFailure('upstream-reset', 'head', '');
  t.same(after.told, [[200, -1, 'upstream-reset', 0]]);
  t.equal(after.endpoint.inFlight, 0);
});

t.test('a bad answer that is thrown away for another try is told with its status', async (t) => {
  const { attempt, told, done } = play(true);
  attempt.onResponseHead(head(503));
  attempt.cancel();
  t.same(told, [[503, -1, null, 0]]);
  t.same(done, ['reset']);
});

t.test('nothing is told of a try that was given up before an answer, but for one that took too long', async (t) => {
  const given = play(true);
  given.attempt.silent(null);
  given.attempt.cancel();
  t.same(given.told, []);
  const late = play(true);
  late.clock.advance(100);
  late.attempt.silent('per-try-timeout');
  late.attempt.cancel();
  t.same(late.told, [[0, -1, 'per-try-timeout', 100]]);
});

t.test(
  'a try that still waits for a connection is taken back, and a stream or failure that comes late is not used',
  async (t) => {
    const { attempt, done, stream, heard, endpoint } = play(false);
    attempt.cancel();
    t.same(done, ['taken back']);
    attempt.onUpstreamReady(stream);
    attempt.onUpstreamFailure('overflow', 'nothing', '');
    t.same(done, ['taken back', 'reset']);
    t.same(heard, []);
    t.equal(endpoint.inFlight, 0);
  },
);

t.test('only a peer that proved its identity may say why it answered itself', async (t) => {
  const peer = play(true, true);
  peer.attempt.onResponseHead(head(503, ['tulle-reason', 'connect-failure']));
  t.same(peer.heard, ['open', 'head connect-failure']);
  const stranger = play(true);
  const answer = head(503, ['tulle-reason', 'connect-failure']);
  stranger.attempt.onResponseHead(answer);
  t.same(stranger.heard, ['open', 'head -']);
  t.notOk(answer.headers.has('tulle-reason'));
});
