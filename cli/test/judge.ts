/** What was expected of a step against what was played: each difference as a sentence, with the path of the expectation. Pure. */
import { formatDuration } from '#base/duration.ts';
import { grpcStatusIn } from '../../proxy/http/grpc.ts';
import type { HeaderList } from '../../proxy/http/headers.ts';
import type { Expected, Span } from './format.ts';
import { serviceOf, type Played, type Stage } from './stage.ts';

export interface Mismatch {
  /** Below the step: `expect.status`. */
  readonly path: string;
  readonly sentence: string;
}

interface Try {
  /** By the name that the test gives endpoints: `reviews-v1/0`. */
  readonly endpoint: string;
  /** Milliseconds since the request began. */
  readonly fromMs: number;
  /** Status of its answer, or the kind of its failure. */
  readonly outcome: string;
}

/** Those of a request, in their order. */
export function triesOf({ exchange, client }: Played, stage: Stage): readonly Try[] {
  const { earlier, endpoint, tryMs, failure } = exchange;
  const tries = (earlier ?? []).map(({ endpoint: of, fromMs, outcome }) => {
    return { endpoint: stage.nameOf(of.config), fromMs, outcome };
  });
  if (endpoint === null) return tries;
  const outcome = failure === null ? String(client.status) : failure.kind;
  return [...tries, { endpoint: stage.nameOf(endpoint.config), fromMs: tryMs, outcome }];
}

/** @param all of the step; the last one is the one that is looked at */
export function judge(expected: Expected, all: readonly Played[], stage: Stage): readonly Mismatch[] {
  const last = all.at(-1);
  if (last === undefined) return [];
  const { exchange, client, tookMs } = last;
  const tries = triesOf(last, stage);
  const endpoints = tries.map(({ endpoint }) => endpoint);
  const backends = endpoints.map(serviceOf);
  const found = new Mismatches();
  found.compare('route', expected.route, exchange.routeName);
  found.compare('backend', expected.backend, backends.at(-1) ?? 'none');
  found.compareLists('backends', expected.backends, backends);
  found.compareLists('endpoints', expected.endpoints, endpoints);
  found.compare('tries', expected.tries, tries.length);
  found.compareLists(
    'outcomes',
    expected.outcomes,
    tries.map(({ outcome }) => outcome),
  );
  found.compareSpans(
    'triedAt',
    expected.triedAt,
    tries.map(({ fromMs }) => fromMs),
  );
  found.compareLists('copies', expected.copies, last.copies);
  found.compare('status', expected.status, client.isBroken ? 0 : client.status);
  found.compare('reason', expected.reason, exchange.failure?.kind ?? '');
  found.compare('grpcStatus', expected.grpcStatus, grpcStatusIn(client.headers));
  found.compare('body', expected.body, client.body);
  found.compareHeaders('headers', expected.headers, client.headers);
  if (expected.within !== null && tookMs > expected.within) {
    found.add('within', `took ${formatDuration(tookMs)}, to be at most ${formatDuration(expected.within)}`);
  }
  if (expected.notBefore !== null && tookMs < expected.notBefore) {
    found.add('notBefore', `took ${formatDuration(tookMs)}, to be at least ${formatDuration(expected.notBefore)}`);
  }
  judgeUpstream(expected, last, found);
  judgeMany(expected, all, stage, found);
  return found.list;
}

function judgeUpstream({ upstream }: Expected, { asked }: Played, found: Mismatches): void {
  if (upstream === null) return;
  const last = asked.at(-1);
  if (last === undefined) {
    found.add('upstream', 'no endpoint was asked');
    return;
  }
  found.compare('upstream.method', upstream.method, last.head.method);
  found.compare('upstream.path', upstream.path, last.head.path);
  found.compare('upstream.host', upstream.host, last.head.authority);
  found.compare('upstream.body', upstream.body, last.body);
  found.compareHeaders('upstream.headers', upstream.headers, last.head.headers);
}

function judgeMany(expected: Expected, all: readonly Played[], stage: Stage, found: Mismatches): void {
  const { shares, tolerance, minSuccess, maxTries } = expected;
  const percent = (count: number): number => (count * 100) / all.length;
  if (shares !== null) {
    const lasts = all.map((played) => serviceOf(triesOf(played, stage).at(-1)?.endpoint ?? 'none/'));
    for (const [backend, share] of Object.entries(shares)) {
      const got = percent(lasts.filter((name) => name === backend).length);
      if (Math.abs(got - share) > tolerance) {
        found.add(
          `shares.${backend}`,
          `got ${rounded(got)} % of ${all.length} requests, to be ${share} % within ${tolerance}`,
        );
      }
    }
  }
  if (minSuccess !== null) {
    const got = percent(
      all.filter(({ client }) => !client.isBroken && client.status > 0 && client.status < 500).length,
    );
    if (got < minSuccess)
      found.add('minSuccess', `${rounded(got)} % were answered below 500, to be at least ${minSuccess} %`);
  }
  if (maxTries !== null) {
    const got = all.reduce((sum, played) => sum + triesOf(played, stage).length, 0);
    if (got > maxTries) found.add('maxTries', `${got} tries in all, to be at most ${maxTries}`);
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

class Mismatches {
  readonly list: Mismatch[] = [];

  add(path: string, sentence: string): void {
    this.list.push({ path: `expect.${path}`, sentence });
  }

  compare(path: string, expected: string | number | null, got: string | number): void {
    if (expected !== null && expected !== got) this.add(path, `is ${shown(got)}, to be ${shown(expected)}`);
  }

  compareLists(path: string, expected: readonly string[] | null, got: readonly string[]): void {
    if (expected === null || (expected.length === got.length && expected.every((one, i) => one === got[i]))) return;
    this.add(path, `are ${listed(got)}, to be ${listed(expected)}`);
  }

  compareSpans(path: string, expected: readonly Span[] | null, got: readonly number[]): void {
    if (expected === null) return;
    if (expected.length === got.length && expected.every((span, i) => isWithin(got[i] ?? NaN, span))) return;
    this.add(path, `are ${listed(got.map(formatDuration))}, to be ${listed(expected.map(spanText))}`);
  }

  /** An empty text means that the header must not be there. */
  compareHeaders(path: string, expected: Readonly<Record<string, string>> | null, got: HeaderList): void {
    for (const [name, value] of Object.entries(expected ?? {})) {
      const values = got.getAll(name.toLowerCase());
      if (value === '' ? values.length > 0 : !values.includes(value)) {
        const is = values.length === 0 ? 'is not there' : `is ${values.map(shown).join(', ')}`;
        this.add(`${path}.${name}`, `${is}, ${value === '' ? 'not to be there' : `to be ${shown(value)}`}`);
      }
    }
  }
}

function shown(value: string | number): string {
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

function listed(values: readonly string[]): string {
  return values.length === 0 ? 'none' : values.join(', ');
}

function isWithin(ms: number, { fromMs, toMs }: Span): boolean {
  return ms >= fromMs && ms <= toMs;
}

function spanText({ fromMs, toMs }: Span): string {
  return fromMs === toMs ? formatDuration(fromMs) : `${formatDuration(fromMs)}..${formatDuration(toMs)}`;
}
