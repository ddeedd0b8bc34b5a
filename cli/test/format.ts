/**
 * The shape of a file of traffic tests, read with the fields that manifests are read with: what is unknown or of a wrong kind is said with
 * its place, the reason and what would be right. Knows nothing of how a test is played.
 */
import { parseDuration } from '#base/duration.ts';
import type { Problems } from '#base/problems.ts';
import {
  boolean,
  choice,
  describe,
  duration,
  integer,
  number,
  string,
  type Field,
  type ValueOf,
} from '../../control-plane/kinds/field.ts';
import { list, map, object, optional, required } from '../../control-plane/kinds/structure.ts';

/** What a backend does with a try. */
export interface ScriptedAnswer {
  readonly status: number;
  /** Empty: it answers. */
  readonly fails: '' | 'connect-failure' | 'reset' | 'refused-stream' | 'silence';
  readonly afterMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const FAILURES = ['connect-failure', 'reset', 'refused-stream', 'silence'] as const;
const STATUS = integer(100, 599);
const HEADERS = map(string({ minLength: 1, maxLength: 256 }), string({ maxLength: 4096 }), 64);

const ANSWER_OBJECT = object({
  status: optional(STATUS, 200),
  fails: optional(choice(FAILURES), ''),
  after: optional(duration('0s', '24h'), 0),
  headers: optional(HEADERS, {}),
  body: optional(string({ maxLength: 65_536 }), ''),
  grpcStatus: optional(integer(0, 16), null),
});

/** `503`, `reset`, or an object. */
const ANSWER: Field<ScriptedAnswer> = {
  schema: ANSWER_OBJECT.schema,
  read(value, path, problems) {
    if (typeof value === 'number') {
      const status = STATUS.read(value, path, problems);
      return status === undefined ? undefined : plain(status);
    }
    if (typeof value === 'string') {
      const fails = FAILURES.find((word) => word === value);
      if (fails !== undefined) return { ...plain(0), fails };
      problems.add(path, `is no answer: ${describe(value)}`, `write a status, ${FAILURES.join(', ')}, or an object`);
      return undefined;
    }
    const read = ANSWER_OBJECT.read(value, path, problems);
    if (read === undefined) return undefined;
    const { status, fails, after, headers, body, grpcStatus } = read;
    const grpc = grpcStatus === null ? {} : { 'content-type': 'application/grpc', 'grpc-status': String(grpcStatus) };
    return { status, fails, afterMs: after, headers: { ...lowered(headers), ...grpc }, body };
  },
};

function plain(status: number): ScriptedAnswer {
  return { status, fails: '', afterMs: 0, headers: {}, body: '' };
}

function lowered(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** One answer for all tries, or one for each; the last one goes on. */
const ANSWERS: Field<readonly ScriptedAnswer[]> = {
  schema: ANSWER.schema,
  read(value, path, problems) {
    if (Array.isArray(value)) return list(ANSWER, { minItems: 1, maxItems: 100 }).read(value, path, problems);
    const one = ANSWER.read(value, path, problems);
    return one === undefined ? undefined : [one];
  },
};

const ENDPOINT = object({
  name: required(string({ minLength: 1, maxLength: 63 })),
  ready: optional(boolean(), true),
  ejected: optional(boolean(), false),
  zone: optional(string({ maxLength: 63 }), ''),
  answers: optional(ANSWERS, null),
});

/** A number of endpoints that are ready, or each of them. */
const ENDPOINTS: Field<readonly ValueOf<typeof ENDPOINT>[]> = {
  schema: ENDPOINT.schema,
  read(value, path, problems) {
    if (typeof value !== 'number') return list(ENDPOINT, { maxItems: 1000 }).read(value, path, problems);
    const count = integer(0, 1000).read(value, path, problems);
    if (count === undefined) return undefined;
    return Array.from({ length: count }, (_, i) => {
      return { name: String(i), ready: true, ejected: false, zone: '', answers: null };
    });
  },
};

const REQUEST = object({
  method: optional(string({ pattern: /^[A-Z]{1,32}$/, advice: 'write GET, POST, ...' }), 'GET'),
  url: required(string({ minLength: 1, maxLength: 8192 })),
  headers: optional(HEADERS, {}),
  body: optional(string({ maxLength: 1_048_576 }), ''),
  from: optional(string({ maxLength: 317 }), ''),
});

/** `503` or `per-try-timeout`. */
const WORD: Field<string> = {
  schema: { type: 'string', maxLength: 64 },
  read: (value, path, problems) =>
    typeof value === 'number' ? String(value) : string({ maxLength: 64 }).read(value, path, problems),
};

/** Milliseconds. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** `3s`, or `3s..3250ms` with both ends. */
const SPAN: Field<Span> = {
  schema: { type: 'string', maxLength: 64 },
  read(value, path, problems) {
    const ends = typeof value === 'string' ? value.split('..').map((end) => parseDuration(end)) : [];
    const [fromMs, toMs] = [ends[0] ?? null, ends.at(-1) ?? null];
    if (fromMs !== null && toMs !== null && ends.length <= 2 && fromMs <= toMs) return { fromMs, toMs };
    problems.add(path, `is no time: ${describe(value)}`, 'write 3s, or 3s..3250ms for all between');
    return undefined;
  },
};

const EXPECTED = {
  route: optional(string({ maxLength: 1024 }), null),
  backend: optional(string({ maxLength: 317 }), null),
  backends: optional(list(string({ maxLength: 317 }), { maxItems: 100 }), null),
  endpoints: optional(list(string({ maxLength: 317 }), { maxItems: 100 }), null),
  tries: optional(integer(0, 100), null),
  outcomes: optional(list(WORD, { maxItems: 100 }), null),
  triedAt: optional(list(SPAN, { maxItems: 100 }), null),
  copies: optional(list(string({ maxLength: 317 }), { maxItems: 100 }), null),
  status: optional(STATUS, null),
  reason: optional(string({ maxLength: 64 }), null),
  grpcStatus: optional(integer(0, 16), null),
  headers: optional(HEADERS, null),
  body: optional(string({ maxLength: 65_536 }), null),
  within: optional(duration('0s', '24h'), null),
  notBefore: optional(duration('0s', '24h'), null),
  upstream: optional(
    object({
      method: optional(string({ maxLength: 32 }), null),
      path: optional(string({ maxLength: 8192 }), null),
      host: optional(string({ maxLength: 317 }), null),
      headers: optional(HEADERS, null),
      body: optional(string({ maxLength: 65_536 }), null),
    }),
    null,
  ),
  /** Of a step with `times`. */
  shares: optional(map(string({ minLength: 1, maxLength: 317 }), number(0, 100), 100), null),
  tolerance: optional(number(0, 100), 3),
  minSuccess: optional(number(0, 100), null),
  maxTries: optional(integer(0, 1_000_000), null),
};

const STEP_MEMBERS = {
  wait: optional(duration('0s', '24h'), 0),
  request: optional(REQUEST, null),
  times: optional(integer(1, 100_000), 1),
  answers: optional(ANSWERS, null),
  expect: optional(object(EXPECTED), null),
};

const TEST = object({
  name: required(string({ minLength: 1, maxLength: 256 })),
  endpoints: optional(map(string({ minLength: 1, maxLength: 317 }), ENDPOINTS, 1000), {}),
  seed: optional(integer(0, 2_147_483_647), 1),
  zone: optional(string({ maxLength: 63 }), null),
  ...STEP_MEMBERS,
  steps: optional(list(object(STEP_MEMBERS), { minItems: 1, maxItems: 1000 }), null),
});

export const TEST_FILE = object({
  manifests: required(list(string({ minLength: 1, maxLength: 4096 }), { minItems: 1, maxItems: 100 })),
  domain: optional(string({ maxLength: 253 }), 'cluster.local'),
  from: optional(string({ maxLength: 317 }), 'default'),
  zone: optional(string({ maxLength: 63 }), ''),
  endpoints: optional(map(string({ minLength: 1, maxLength: 317 }), ENDPOINTS, 1000), {}),
  tests: required(list(TEST, { minItems: 1, maxItems: 10_000 })),
});

export type TestFile = ValueOf<typeof TEST_FILE>;
export type TrafficTest = TestFile['tests'][number];
export type Step = NonNullable<TrafficTest['steps']>[number];
export type Expected = NonNullable<Step['expect']>;
export type EndpointSpec = ValueOf<typeof ENDPOINT>;
export type RequestSpec = NonNullable<Step['request']>;

/** Null: it was refused, and the problems say why. */
export function readTestFile(value: unknown, problems: Problems): TestFile | null {
  return TEST_FILE.read(value, '', problems) ?? null;
}

/** A test that has no steps is one itself. */
export function stepsOf(test: TrafficTest): readonly Step[] {
  const { wait, request, times, answers, expect } = test;
  return test.steps ?? [{ wait, request, times, answers, expect }];
}
