/** The part of a snapshot that says how requests of a session are known (Envoy `StatefulSession`). Plain data, like the rest of it. */
export interface SessionConfig {
  /** What carries the token. */
  readonly kind: 'cookie' | 'header';
  /** Of a header in lower case. */
  readonly name: string;
  /** Of the cookie; empty: none is written. */
  readonly path: string;
  /** A session is over so long after it began; 0: never. */
  readonly absoluteMs: number;
  /** A session is over when nothing was asked for so long; 0: never. */
  readonly idleMs: number;
  /** The cookie outlives the client by this time; 0: it does not. */
  readonly ttlMs: number;
}
