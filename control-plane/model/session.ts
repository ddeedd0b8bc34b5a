/** Requests of a session go to the endpoint that answered the first of them (GEP-1619). */
export interface SessionPolicy {
  /** What carries the token. */
  readonly kind: 'cookie' | 'header';
  /** Of a header in lower case. */
  readonly name: string;
  /** 0: none. */
  readonly absoluteMs: number;
  /** 0: none. */
  readonly idleMs: number;
  /** The cookie outlives the client, for `absoluteMs`. */
  readonly permanent: boolean;
}
