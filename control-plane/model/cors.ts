/** Who may ask across origins, and for what (GEP-1767, Fetch standard). Plain data. */
export interface CorsPolicy {
  /** In lower case, without the scheme's own port; `*` stands for one label or more at the beginning of a host, or for all of it; `*` alone: everybody. */
  readonly origins: readonly string[];
  readonly credentials: boolean;
  /** `*`: all. */
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly expose: readonly string[];
  readonly maxAgeSeconds: number;
}
