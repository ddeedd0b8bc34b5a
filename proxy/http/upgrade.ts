/**
 * Which protocol a request may change its connection to, the same for HTTP/1.1 (RFC 9110 7.8) and HTTP/2 (RFC 8441).
 * In the model such a request is a GET without body whose `upgrade` names one protocol; its acceptance is a 101 in every version.
 * Knows no connection.
 */
import { isLowerToken } from './grammar.ts';
import { NO_BODY, type RequestHead, type ResponseHead } from './message.ts';

/** They would carry further requests past every route and policy (h2c smuggling; RFC 2817 for TLS). */
const HTTP_ITSELF = /^(?:h2c?|http|tls)(?:\/|$)/;

/** `token` or `token/version` (RFC 9110 7.8). */
export function isProtocol(text: string): boolean {
  const [name, version, ...more] = text.toLowerCase().split('/');
  return more.length === 0 && isLowerToken(name ?? '') && (version === undefined || isLowerToken(version));
}

function usable(offer: string): string {
  const lower = offer.toLowerCase();
  if (!isProtocol(lower) || HTTP_ITSELF.test(lower)) return '';
  return lower === 'websocket' ? lower : offer;
}

/**
 * Leaves the first protocol that can be asked for, or none: then the request goes on as an ordinary one, for a recipient may always
 * ignore Upgrade. With another method or a body there is none, because extended CONNECT can carry neither.
 */
export function settleUpgrade(head: RequestHead): void {
  const mayUpgrade = head.method === 'GET' && head.body.kind === 'none';
  const offers = mayUpgrade ? head.upgrade.split(',') : [];
  head.upgrade = offers.map((offer) => usable(offer.trim())).find((offer) => offer !== '') ?? '';
}

/** Extended CONNECT as the model has it. What would not be asked for in HTTP/1.1 stays a CONNECT without protocol, which nobody serves. */
export function settleConnect(head: RequestHead): void {
  head.upgrade = usable(head.upgrade);
  if (head.upgrade === '') return;
  head.method = 'GET';
  head.body = NO_BODY;
}

const STATUS_FIELD = 'tulle-status';

/**
 * A 2xx that is an ordinary answer, to extended CONNECT: there any 2xx would accept the protocol, and open a tunnel into a server that
 * speaks HTTP (CVE-2024-23326). It travels as 501, and the next sidecar turns it back.
 */
export function hideSuccess(head: ResponseHead): void {
  if (head.status < 200 || head.status > 299) return;
  head.headers.set(STATUS_FIELD, String(head.status));
  head.status = 501;
  head.reason = '';
}

/** The other way round. Needs no trust in who sent it: whoever may answer may answer so. */
export function showSuccess(head: ResponseHead): void {
  const status = head.headers.get(STATUS_FIELD);
  if (status === undefined) return;
  head.headers.remove(STATUS_FIELD);
  if (head.status === 501 && /^2\d\d$/.test(status)) head.status = Number(status);
}
