/**
 * Random but valid worlds: Services, routes and policies as manifests, and requests that meet them closely.
 * The same seed gives the same world. Knows no proxy; sends nothing.
 */
import { randomInt, seededRandom, type Random } from '#base/random.ts';

/** What an upstream does with one try. */
export type Act =
  | { readonly kind: 'answer'; readonly status: number; readonly headers: Readonly<Record<string, string>> }
  /** Ends the connection before any byte of an answer. */
  | { readonly kind: 'reset' }
  /** Says nothing for longer than any timeout of these worlds. */
  | { readonly kind: 'hang' };

export interface Ask {
  readonly id: string;
  readonly service: string;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Sent with its length; empty: no body. */
  readonly body: string;
  /** What happens to the first try, the second and so on; after the last one it goes on with that. */
  readonly acts: readonly Act[];
}

export interface World {
  readonly seed: number;
  /** YAML (as JSON documents), Services of this world only. */
  readonly manifest: string;
  readonly asks: readonly Ask[];
}

/** Services that answer; they are the same in every world. */
export const BACKENDS = ['alpha', 'beta', 'gamma', 'delta'] as const;
export const PORT = 8080;

interface Match {
  path: { type: 'Exact' | 'PathPrefix' | 'RegularExpression'; value: string };
  headers: { type: 'Exact' | 'RegularExpression'; name: string; value: string }[];
  queryParams: { type: 'Exact' | 'RegularExpression'; name: string; value: string }[];
  method?: string;
}

const EXACT_PATHS = ['/', '/a', '/a/b', '/a/b/c', '/ab', '/x/y', '/%7Ea', '/a%20b'];
const PREFIXES = ['/', '/a', '/a/b', '/a/', '/x', '/ab'];
/** An expression, and paths that it matches. */
const EXPRESSIONS: readonly (readonly [regex: string, ...paths: string[]])[] = [
  ['/v[0-9]+/.*', '/v1/', '/v22/a/b'],
  ['/(a|b)/c', '/a/c', '/b/c'],
  ['/[a-z]{2,4}', '/ab', '/abcd'],
  ['/x(/.*)?', '/x', '/x/y/z'],
];
const PATHS = ['/', '/a', '/a/', '/a/b', '/a/b/c', '/ab', '/x', '/x/y', '/v1/', '/b/c', '/abcd', '/~a', '/a//b', '/A'];
const METHODS = ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'];
const HEADER_NAMES = ['x-one', 'x-two', 'X-Three'];
const VALUES = ['1', 'two', 'a b', 'A', 'x,y'];
const QUERY_NAMES = ['q', 'r'];

/** Chance, in the words of the generator. */
class Dice {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  below(bound: number): number {
    return randomInt(this.#random, bound);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** Up to `most` of them, each once. */
  some<T>(values: readonly T[], most: number): T[] {
    const left = [...values];
    return Array.from({ length: this.below(most + 1) }, () => left.splice(this.below(left.length), 1)[0]!);
  }
}

function match(dice: Dice): Match {
  const kind = dice.below(4);
  const path: Match['path'] =
    kind === 0
      ? { type: 'Exact', value: dice.of(EXACT_PATHS) }
      : kind === 3
        ? { type: 'RegularExpression', value: dice.of(EXPRESSIONS)[0] }
        : { type: 'PathPrefix', value: dice.of(PREFIXES) };
  const headers = dice.chance(30)
    ? dice
        .some(HEADER_NAMES, 2)
        .map((name) =>
          dice.chance(25)
            ? { type: 'RegularExpression' as const, name, value: '[0-9]+|tw.' }
            : { type: 'Exact' as const, name, value: dice.of(VALUES) },
        )
    : [];
  const queryParams = dice.chance(20)
    ? dice.some(QUERY_NAMES, 2).map((name) => ({ type: 'Exact' as const, name, value: dice.of(['1', 'two', 'A']) }))
    : [];
  return { path, headers, queryParams, ...(dice.chance(20) && { method: dice.of(METHODS) }) };
}

function headerFilter(dice: Dice, type: 'RequestHeaderModifier' | 'ResponseHeaderModifier'): object {
  const change = {
    set: dice.some(['x-one', 'x-set'], 1).map((name) => ({ name, value: dice.of(VALUES) })),
    add: dice.some(['x-two', 'x-added'], 1).map((name) => ({ name, value: dice.of(VALUES) })),
    remove: dice.some(['x-three', 'x-up'], 1),
  };
  return { type, [`${type[0]!.toLowerCase()}${type.slice(1)}`]: change };
}

function pathModifier(dice: Dice, match: Match): object {
  return match.path.type === 'PathPrefix' && dice.chance(70)
    ? { type: 'ReplacePrefixMatch', replacePrefixMatch: dice.of(['/', '/new', '/new/', '/n/m']) }
    : { type: 'ReplaceFullPath', replaceFullPath: dice.of(['/', '/full', '/full/path']) };
}

function redirect(dice: Dice, match: Match): object {
  return {
    type: 'RequestRedirect',
    requestRedirect: {
      ...(dice.chance(50) && { hostname: 'elsewhere.example' }),
      ...(dice.chance(40) && { scheme: dice.of(['http', 'https']) }),
      ...(dice.chance(30) && { port: dice.of([80, 443, 8443]) }),
      ...(dice.chance(50) && { path: pathModifier(dice, match) }),
      statusCode: dice.of([301, 302, 303, 307, 308]),
    },
  };
}

function rule(dice: Dice, name: string): { name: string; matches: Match[]; redirects: boolean; spec: object } {
  // A path is replaced by prefix only where exactly one match says which.
  const first = match(dice);
  const filters: object[] = dice.chance(35) ? [headerFilter(dice, 'RequestHeaderModifier')] : [];
  if (dice.chance(30)) filters.push(headerFilter(dice, 'ResponseHeaderModifier'));
  const redirects = dice.chance(15);
  const rewrites = !redirects && dice.chance(25);
  if (redirects) filters.push(redirect(dice, first));
  if (rewrites) {
    const path = dice.chance(70) ? { path: pathModifier(dice, first) } : { hostname: 'rewritten.example' };
    filters.push({ type: 'URLRewrite', urlRewrite: path });
  }
  const matches = redirects || rewrites || dice.chance(60) ? [first] : [first, match(dice)];
  const backendRefs = [...dice.some(BACKENDS.slice(0, 3), 2), 'delta'].map((backend) => backendRef(dice, backend));
  const timeouts = dice.chance(25) ? { timeouts: { request: '700ms' } } : {};
  const spec = { name, matches, filters, ...(redirects ? {} : { backendRefs, ...timeouts }) };
  return { name, matches, redirects, spec };
}

function backendRef(dice: Dice, name: string): object {
  const filters = dice.chance(15) ? [headerFilter(dice, 'RequestHeaderModifier')] : [];
  return { name, port: PORT, weight: dice.of([1, 1, 5, 0]), filters };
}

function policy(dice: Dice, service: string, ruleName: string): object {
  const retryOn = dice.some(['gateway-error', '5xx', 'reset', 'connect-failure', 'retriable-status'], 4);
  const spec = {
    targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: service, sectionName: ruleName }],
    timeouts: dice.chance(40) ? { perTry: '250ms' } : {},
    retries: {
      attempts: dice.of([0, 1, 2, 2, 3]),
      retryOn,
      ...(retryOn.includes('retriable-status') && { statuses: dice.some([404, 429, 500, 503], 2) }),
      backoff: { base: '1ms', max: '5ms' },
    },
  };
  const name = `${service}-${ruleName}`;
  return { apiVersion: 'tulle.dev/v1alpha1', kind: 'TrafficPolicy', metadata: { name, namespace: 'default' }, spec };
}

const SILENT: Act = { kind: 'hang' };

function act(dice: Dice): Act {
  const draw = dice.below(20);
  if (draw === 0) return { kind: 'reset' };
  if (draw === 1) return SILENT;
  const status = draw < 7 ? 200 : dice.of([204, 301, 304, 404, 429, 500, 500, 502, 503, 503, 503, 504]);
  const headers: Record<string, string> = { 'x-up': '1' };
  if (status === 429 && dice.chance(50)) headers['retry-after'] = '0';
  return { kind: 'answer', status, headers };
}

/** A request that meets one match, often with one thing changed. */
function ask(dice: Dice, id: string, service: string, matches: readonly Match[], mayHang: boolean): Ask {
  const wanted = dice.of(matches);
  const { type, value } = wanted.path;
  const expression = EXPRESSIONS.find(([regex]) => regex === value);
  const met =
    type === 'RegularExpression'
      ? dice.of(expression?.slice(1) ?? ['/'])
      : type === 'Exact'
        ? value
        : value + dice.of(['', '/more', 'more']);
  const query = new Map(wanted.queryParams.map(({ name, value: text }) => [name, text]));
  const headers = new Map(
    wanted.headers.map((header) => [header.name, header.type === 'Exact' ? header.value : '12'] as const),
  );
  let path = met.startsWith('/') ? met : `/${met}`;
  let method = wanted.method ?? dice.of(METHODS);
  switch (dice.below(8)) {
    case 0:
      path = dice.of(PATHS);
      break;
    case 1:
      headers.set(dice.of(HEADER_NAMES), dice.of(VALUES));
      break;
    case 2:
      query.set(dice.of(QUERY_NAMES), dice.of(['1', 'two', '']));
      break;
    case 3:
      method = dice.of(METHODS);
      break;
  }
  const text = [...query].map(([name, of]) => `${name}=${of}`).join('&');
  const acts = Array.from({ length: 1 + dice.below(4) }, () => act(dice)).map((one) =>
    one.kind === 'hang' && !mayHang ? ({ kind: 'answer', status: 503, headers: {} } as const) : one,
  );
  const body = (method === 'POST' || method === 'PUT' || method === 'PATCH') && dice.chance(70) ? `body of ${id}` : '';
  // A second value of a header, before or behind the first.
  const again: readonly [string, string] = [dice.of(HEADER_NAMES), dice.of(VALUES)];
  const lists = [[...headers], [...headers, again], [again, ...headers]];
  const fields = lists[dice.of([0, 0, 0, 1, 2])]!;
  return { id, service, method, path: text === '' ? path : `${path}?${text}`, headers: fields, body, acts };
}

/** @param services how many; each has a route of 1 to 4 rules, and `asks` requests */
export function makeWorld(seed: number, services: number, asks: number): World {
  const dice = new Dice(seed);
  const documents: object[] = [];
  const requests: Ask[] = [];
  for (let s = 0; s < services; s++) {
    const name = `s${s}-w${seed}`;
    const rules = Array.from({ length: 1 + dice.below(4) }, (_, i) => rule(dice, `r${i}`));
    documents.push(service(name), route(name, rules));
    for (const { name: ruleName, redirects } of rules) {
      if (!redirects && dice.chance(75)) documents.push(policy(dice, name, ruleName));
    }
    // Nothing else ends a try that says nothing.
    const mayHang = JSON.stringify(documents.slice(-rules.length - 1)).includes('perTry');
    const matches = rules.flatMap((r) => r.matches);
    for (let i = 0; i < asks; i++) requests.push(ask(dice, `${seed}.${s}.${i}`, name, matches, mayHang));
  }
  return { seed, manifest: documents.map((d) => JSON.stringify(d)).join('\n---\n'), asks: requests };
}

/** One route that splits, and requests that all meet it. Seed 0. */
export function weightedWorld(shares: Readonly<Record<string, number>>, asks: number): World {
  const name = 'split-w0';
  const backendRefs = Object.entries(shares).map(([backend, weight]) => ({ name: backend, port: PORT, weight }));
  const acts: readonly Act[] = [{ kind: 'answer', status: 200, headers: {} }];
  const documents = [service(name), route(name, [{ spec: { backendRefs } }])];
  return {
    seed: 0,
    manifest: documents.map((document) => JSON.stringify(document)).join('\n---\n'),
    asks: Array.from({ length: asks }, (_, i) => ({
      id: `0.0.${i}`,
      service: name,
      method: 'GET',
      path: '/',
      headers: [],
      body: '',
      acts,
    })),
  };
}

function service(name: string): object {
  const ports = [{ name: 'main', port: PORT, appProtocol: 'http' }];
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec: { ports } };
}

function route(name: string, rules: readonly { readonly spec: object }[]): object {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace: 'default' },
    spec: { parentRefs: [{ group: '', kind: 'Service', name, port: PORT }], rules: rules.map((r) => r.spec) },
  };
}
