/** Header fields that no policy and no route may set: refused by the control plane, passed over by the sidecar. Knows no kind. */

/** The proxy writes them itself: framing, hop-by-hop fields (RFC 9110 7.6.1), and what the routing went by. Lower-case. */
export const PROXY_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
