/** Which endpoint a request is meant for, as its client was told before. Types only. */
export interface Session {
  readonly cluster: string;
  readonly address: string;
  readonly port: number;
  /** Wall times in milliseconds. */
  readonly beganMs: number;
  readonly seenMs: number;
}
