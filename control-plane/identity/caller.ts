/**
 * Who calls the control plane, as proven, and the contract of what proves it by a bearer token.
 * Knows neither gRPC nor any particular kind of token.
 */
import type { Result } from '#base/result.ts';

export interface Caller {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Pod name; null when the proof does not say (a certificate speaks for a service account, not for one pod). */
  readonly pod: string | null;
}

/** Decides whose token this is. The error is a reason for the control plane's log; it holds no part of the token. */
export interface TokenReviewer {
  review(token: string): Promise<Result<Caller, string>>;
}
