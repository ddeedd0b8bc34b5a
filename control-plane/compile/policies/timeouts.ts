/** Timeouts of TrafficPolicy. 0 means none, a field that is not given is left to the next policy. Knows no precedence. */
import type { Field } from './settle.ts';

export const REQUEST_TIMEOUT: Field<number> = { path: 'spec.timeouts.request', of: (spec) => spec.timeouts.requestMs };
export const PER_TRY_TIMEOUT: Field<number> = { path: 'spec.timeouts.perTry', of: (spec) => spec.timeouts.perTryMs };
export const IDLE_TIMEOUT: Field<number> = { path: 'spec.timeouts.idle', of: (spec) => spec.timeouts.idleMs };
export const CONNECT_TIMEOUT: Field<number> = { path: 'spec.timeouts.connect', of: (spec) => spec.timeouts.connectMs };
