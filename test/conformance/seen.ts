/**
 * What became of a request of the suite, however it was found out, and in what that is other than its table wants it.
 * Knows neither sockets nor the compiler.
 */
import type { HeaderList } from '../../proxy/http/headers.ts';
import type { Case, Expected } from './tables.ts';

export interface Seen {
  readonly status: number;
  /** Empty unless the request was forwarded. */
  readonly backend: string;
  /** That the backend gets; names in lower case. */
  readonly sent: { readonly path: string; readonly headers: HeaderList };
  /** Headers of the answer; names in lower case. */
  readonly answered: HeaderList;
}

/** Those of the expected that are other than expected. */
function wrong(list: HeaderList, { headers, absent }: Expected): string[] {
  const value = (name: string): string => list.getAll(name.toLowerCase()).join(',');
  return [
    ...Object.entries(headers).filter(([name, expected]) => value(name) !== expected),
    ...absent.filter((name) => list.has(name.toLowerCase())).map((name) => [name, 'there']),
  ].map(([name, expected]) => `${name} must be ${expected}, is ${value(String(name))}`);
}

/** As the suite compares: a port that is the scheme's may be left out. */
function wrongLocation(headers: HeaderList, expected: Case['redirect']): string[] {
  if (expected === undefined) return [];
  const { protocol, hostname, port, pathname } = new URL(headers.get('location') ?? 'none:');
  const { scheme, host, path } = expected;
  const same = protocol === `${scheme}:` && hostname === host && port === expected.port && pathname === path;
  return same ? [] : [`leads to ${headers.get('location')}, not to ${JSON.stringify(expected)}`];
}

/** Everything in which it is other than the table wants it. */
export function faults(one: Case, { status, backend, sent, answered }: Seen): string[] {
  const { path } = one.sent;
  return [
    ...(status === one.status ? [] : [`status ${status}`]),
    ...(one.backend === undefined || backend === one.backend ? [] : [`goes to ${backend}`]),
    ...(path === undefined || sent.path === path ? [] : [`sends ${sent.path}`]),
    ...wrong(sent.headers, one.sent),
    ...wrong(answered, one.answered),
    ...wrongLocation(answered, one.redirect),
  ];
}

export function nameOf({ request, from }: Case): string {
  return `${request.to ?? request.host} asked for ${request.host}${request.path} ${JSON.stringify(request.headers)} from ${from}`;
}
