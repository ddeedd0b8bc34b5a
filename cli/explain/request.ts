/** A request as a person writes it, as a sidecar would read it. Knows no mesh. */
import { normalizePath } from '../../proxy/routing/normalize.ts';
import { isFieldValue, isLowerToken } from '../../proxy/http/grammar.ts';
import { HeaderList } from '../../proxy/http/headers.ts';
import { EMPTY_BODY, RequestHead } from '../../proxy/http/message.ts';

export interface Asked {
  /** `host:port`. */
  readonly destination: string;
  readonly head: RequestHead;
}

/**
 * The request, or what is wrong with it.
 * @param url with or without `http://`
 * @param headers `name: value`; `host` replaces the authority, as in curl
 */
export function readRequest(method: string, url: string, headers: readonly string[]): Asked | string {
  if (!/^[A-Z]{1,32}$/.test(method)) return `${method} is no method (write GET, POST, ...)`;
  const text = url.includes('://') ? url : `http://${url}`;
  const parsed = URL.canParse(text) ? new URL(text) : null;
  if (parsed?.protocol !== 'http:') return `${url} is no URL of a Service (write http://reviews.shop:8080/path)`;
  const list = new HeaderList();
  let authority = parsed.host;
  for (const header of headers) {
    const colon = header.indexOf(':');
    const name = header.slice(0, Math.max(0, colon)).trim().toLowerCase();
    const value = header.slice(colon + 1).trim();
    if (!isLowerToken(name) || !isFieldValue(value)) return `${header} is no header (write 'x-user: 42')`;
    if (name === 'host') authority = value.toLowerCase();
    else list.add(name, value);
  }
  const path = normalizePath(`${parsed.pathname}${parsed.search}`);
  if (path === null) return `the path of ${url} is refused with 400`;
  const destination = `${parsed.hostname}:${parsed.port === '' ? '80' : parsed.port}`;
  const head = new RequestHead(method, path, 'http', authority, 11, list, EMPTY_BODY, true, false, '', false);
  return { destination, head };
}
