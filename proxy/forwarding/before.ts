/**
 * What stands between a request and the action of its route: whether its trace is sampled, a rate limit, faults on purpose. One verdict for
 * all of it, reached at once.
 * Pure but for the tokens that are taken and the decision that the request carries on; knows no stream and no timer.
 */
import type { RequestFilterConfig } from '../config/request-filters.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Failure } from '../exchange/failure.ts';
import { localAnswer, type LocalAnswer } from '../exchange/local-answer.ts';
import { addRateHeaders } from '../filters/rate-limit.ts';
import { markSampled } from '../telemetry/trace-context.ts';
import type { ForwardContext } from './context.ts';
import { decideFault } from './fault.ts';

export interface Refusal {
  readonly failure: Failure;
  readonly answer: LocalAnswer;
}

export interface Hold {
  /** So long the request waits first; 0: not at all. */
  readonly delayMs: number;
  /** What it is answered then; null: it goes on. */
  readonly refusal: Refusal | null;
}

/** Null: nothing holds the request. A request that is refused for its rate is not delayed as well. */
export function judgeBefore(
  filters: readonly RequestFilterConfig[],
  exchange: Exchange,
  { rates, clock, random }: Pick<ForwardContext, 'rates' | 'clock' | 'random'>,
): Hold | null {
  let delayMs = 0;
  for (const filter of filters) {
    if (filter.kind === 'sampling') {
      if (exchange.beginsTrace && random() * 100 < filter.percent) markSampled(exchange.request.headers);
      continue;
    }
    if (filter.kind === 'rate-limit') {
      const taken = rates.take(filter, exchange, clock.wall());
      if (taken === null || taken.allowed) continue;
      const refusal = refuse('rate-limited', 'too many requests in a time', 429, exchange);
      addRateHeaders(refusal.answer.head.headers, filter, taken);
      return { delayMs: 0, refusal };
    }
    const fault = decideFault(filter, exchange.request.headers, random);
    delayMs += fault.delayMs;
    if (fault.abortStatus > 0) {
      return { delayMs, refusal: refuse('fault-abort', 'a fault on purpose', fault.abortStatus, exchange) };
    }
  }
  return delayMs === 0 ? null : { delayMs, refusal: null };
}

function refuse(kind: 'rate-limited' | 'fault-abort', detail: string, status: number, exchange: Exchange): Refusal {
  const failure: Failure = { kind, side: 'local', sent: 'nothing', detail, status };
  return { failure, answer: localAnswer(failure, exchange.request) };
}
