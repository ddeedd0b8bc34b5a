/**
 * Headers that only the mesh may set: what a stranger sends under these names never reaches an application.
 * Who the client is comes from its verified certificate alone. Knows no certificate.
 */
import type { HeaderList } from '../http/headers.ts';

/** Envoy's name for the client's identity (HTTP connection manager, x-forwarded-client-cert). */
export const CLIENT_CERT_HEADER = 'x-forwarded-client-cert';

/** What sidecars tell each other of a request (`proxy/forwarding/hops.ts`). */
export const ATTEMPT_COUNT_HEADER = 'x-envoy-attempt-count';
export const EXPECTED_TIMEOUT_HEADER = 'x-envoy-expected-rq-timeout-ms';

/** Whole names and beginnings of names. `-` stands for `_` too: CGI and WSGI servers cannot tell them apart. */
export const STRIPPED_FROM_OUTSIDE: { readonly names: readonly string[]; readonly prefixes: readonly string[] } = {
  names: [CLIENT_CERT_HEADER],
  prefixes: ['x-envoy-', 'tulle-', 'l5d-'],
};

const NAMES: ReadonlySet<string> = new Set(STRIPPED_FROM_OUTSIDE.names);

function isStripped(name: string): boolean {
  // Cheap for nearly every field: only these three letters can begin a name of the list.
  const first = name.charCodeAt(0);
  if (first !== 0x78 && first !== 0x74 && first !== 0x6c) return false;
  const dashed = name.includes('_') ? name.replaceAll('_', '-') : name;
  if (NAMES.has(dashed)) return true;
  for (const prefix of STRIPPED_FROM_OUTSIDE.prefixes) if (dashed.startsWith(prefix)) return true;
  return false;
}

/**
 * Removes every header of `STRIPPED_FROM_OUTSIDE`.
 * @param trusted a peer that proved its identity, or the application beside us: what hops tell each other stays
 * @returns whether something of that is there
 */
export function stripIdentity(headers: HeaderList, trusted = false): boolean {
  const { fields } = headers;
  let hopsSpeak = false;
  for (let i = 0; i < fields.length;) {
    const name = fields[i]!;
    if (!isStripped(name)) i += 2;
    else if (trusted && (name === ATTEMPT_COUNT_HEADER || name === EXPECTED_TIMEOUT_HEADER)) {
      hopsSpeak = true;
      i += 2;
    } else headers.remove(name);
  }
  return hopsSpeak;
}

/**
 * The value of `x-forwarded-client-cert` that says who a client is; the same for all requests of its connection.
 * @param spiffeId of the verified peer; empty: it proved none, nothing is to be said
 * @param ownId SPIFFE ID of this side; empty when it has none yet
 */
export function clientCertOf(spiffeId: string, ownId: string): string {
  if (spiffeId === '') return '';
  const by = ownId === '' ? '' : `By=${quote(ownId)};`;
  return `${by}URI=${quote(spiffeId)}`;
}

/** A value that holds a separator is quoted, `"` and `\` in it escaped (RFC 9110 5.6.4 quoted-string). */
function quote(value: string): string {
  if (!/[",;=\\\s]/.test(value)) return value;
  return `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}
