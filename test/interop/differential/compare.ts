/**
 * What counts as the same, and every deliberate difference with its reason (docs/envoy-differences.md tells users the same).
 * Pure. A weight is chance: which of several backends was taken is not compared, but that it was one of those allowed is.
 */
import type { Answer } from './contenders.ts';
import type { Reached } from './upstreams.ts';
import type { Ask } from './world.ts';

/** One request through one contender. */
export interface Outcome {
  readonly answer: Answer;
  readonly reached: readonly Reached[];
}

export interface Pair {
  readonly ask: Ask;
  readonly tulle: Outcome;
  readonly envoy: Outcome;
}

/** A difference that is meant; its heading in docs/envoy-differences.md. */
export interface Deliberate {
  readonly name: string;
  readonly explains: (pair: Pair) => boolean;
}

/** Headers that each proxy writes in its own name, or for its own connection; never compared. */
const OWN_HEADERS =
  /^(?:x-request-id|traceparent|tracestate|x-b3-.*|b3|x-envoy-.*|x-forwarded-.*|connection|keep-alive|transfer-encoding|date|server|via|content-length|tulle-reason)$/;

/** Methods that may be repeated (RFC 9110 9.2.2). */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export const DELIBERATE: readonly Deliberate[] = [
  {
    name: 'Redirects leave out a port that the scheme says already',
    explains: ({ tulle, envoy }) => {
      const [ours = '', theirs = ''] = [tulle, envoy].map(({ answer }) => answer.headers['location']);
      return (
        ours !== theirs && ours === theirs.replace(/^(http:\/\/[^/:]+):80(?=\/)|^(https:\/\/[^/:]+):443(?=\/)/, '$1$2')
      );
    },
  },
  {
    name: 'Retries look at the method',
    explains: ({ ask, tulle, envoy }) =>
      !REPEATABLE.has(ask.method) && tulle.reached.length === 1 && envoy.reached.length > 1,
  },
  {
    name: 'Safe requests are tried again after a reset',
    explains: ({ ask, tulle, envoy }) =>
      SAFE.has(ask.method) &&
      ask.acts.slice(0, tulle.reached.length).some((act) => act.kind === 'reset') &&
      tulle.reached.length > envoy.reached.length,
  },
];

/** What differs, as sentences; empty: nothing. */
export function differences({ tulle, envoy }: Pair): string[] {
  const found: string[] = [];
  const check = (what: string, ours: unknown, theirs: unknown): void => {
    const [a, b] = [JSON.stringify(ours), JSON.stringify(theirs)];
    if (a !== b) found.push(`${what}: tulle ${a}, envoy ${b}`);
  };
  check('status', tulle.answer.status, envoy.answer.status);
  check('tries', tulle.reached.length, envoy.reached.length);
  for (const [i, ours] of tulle.reached.entries()) {
    const theirs = envoy.reached[i];
    if (theirs === undefined) break;
    const where = `try ${i + 1}`;
    check(`${where}: method`, ours.method, theirs.method);
    check(`${where}: path`, ours.url, theirs.url);
    check(`${where}: host`, ours.host, theirs.host);
    check(`${where}: body`, ours.body, theirs.body);
    // Filters of a backend make its headers depend on the choice.
    if (ours.backend === theirs.backend) check(`${where}: headers`, shown(ours.headers), shown(theirs.headers));
  }
  check('stays with its backend', staysPut(tulle), staysPut(envoy));
  check('answer', answerOf(tulle), answerOf(envoy));
  return found;
}

/** Every try of a request goes to the backend that was drawn first. */
function staysPut({ reached }: Outcome): boolean {
  return reached.every(({ backend }) => backend === reached[0]!.backend);
}

function shown(headers: readonly string[]): readonly string[] {
  return headers.filter((header) => !OWN_HEADERS.test(header.slice(0, header.indexOf(':'))));
}

/** Text of an own answer is each proxy's own. */
function answerOf({ answer, reached }: Outcome): unknown {
  const names = Object.keys(answer.headers).filter((name) => !OWN_HEADERS.test(name) && name !== 'x-backend');
  const fromBackend = answer.headers['x-backend'] !== undefined;
  const pairs = names.filter((name) => fromBackend || name !== 'content-type').sort();
  return {
    from: fromBackend ? 'a backend' : 'the proxy',
    isLastTry: !fromBackend || answer.headers['x-backend'] === reached.at(-1)?.backend,
    body: fromBackend ? answer.body.replace(/^from .*/, 'from a backend') : '',
    headers: pairs.map((name) => `${name}: ${answer.headers[name]}`),
  };
}
