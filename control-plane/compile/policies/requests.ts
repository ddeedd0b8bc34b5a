/** Faults, rate limits and sampling of TrafficPolicy: each is one field, for half of one and half of another would be neither. Knows no precedence. */
import type { FaultSpec, RateLimitSpec } from '../../kinds/traffic-policy.ts';
import type { Field } from './settle.ts';

export const FAULT: Field<FaultSpec> = { path: 'spec.fault', of: (spec) => spec.fault };
export const RATE_LIMIT: Field<RateLimitSpec> = { path: 'spec.rateLimit', of: (spec) => spec.rateLimit };
export const SAMPLING: Field<number> = { path: 'spec.tracing.sampling', of: (spec) => spec.tracing?.sampling ?? null };
