/** What is recorded of an exchange that is over: which part of its time is a latency. */
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import { Exchange } from '../../../proxy/exchange/exchange.ts';
import type { EndpointMeters } from '../../../proxy/exchange/upstream.ts';
import { HeaderList } from '../../../proxy/http/headers.ts';
import { NO_BODY, RequestHead } from '../../../proxy/http/message.ts';
import { PooledIds } from '../../../proxy/telemetry/ids.ts';
import { MetricRegistry } from '../../../proxy/telemetry/metrics.ts';
import { Meters } from '../../../proxy/worker/meters.ts';
import { recordExchange } from '../../../proxy/worker/observe.ts';
import { RecentExchanges } from '../../../proxy/worker/recent.ts';

/** What the histogram is told of an answer whose head came after `headMs` and whose end came after `endMs`. */
function latencyOf(headMs: number, endMs: number): number {
  const clock = new FakeClock();
  const meters = new Meters(new MetricRegistry());
  const told: number[] = [];
  const edge: EndpointMeters = {
    request: (_status, _grpc, _flag, durationMs) => told.push(durationMs),
    retry: () => undefined,
    hedge: () => undefined,
  };
  const head = new RequestHead('GET', '/', 'http', 'a', 11, new HeaderList(), NO_BODY, true, false, '', false);
  const peer = { direction: 'inbound', address: '', identity: '', clientCert: '' } as const;
  const exchange = new Exchange(peer, head, clock.now());
  exchange.headMs = headMs;
  exchange.status = 200;
  clock.advance(endMs);
  const env = {
    clock,
    ids: new PooledIds(),
    meters,
    writeAccess: null,
    metersOf: () => edge,
    recent: new RecentExchanges(clock),
  };
  recordExchange(exchange, env, (reason) => meters.localAnswers.with('inbound', reason));
  return told[0] ?? Number.NaN;
}

t.test('the length of a stream is no latency, that of an answer is', async (t) => {
  t.equal(latencyOf(20, 30), 30);
  t.equal(latencyOf(20, 10_020), 10_020, 'a slow answer');
  t.equal(latencyOf(20, 3_600_000), 20, 'an hour of events');
  t.equal(latencyOf(15_000, 15_100), 15_100, 'an answer that is long in coming');
  t.equal(latencyOf(-1, 60_000), 60_000, 'no answer at all');
});
