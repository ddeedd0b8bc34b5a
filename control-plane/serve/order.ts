/**
 * In which order a client is told, so that nothing it knows ever refers to what it does not have (xDS: make before break).
 * Knows types and phases, not what is in them.
 */
import { TYPE, TYPE_ORDER } from '#api/names.ts';
import type { ResourceType } from '#api/names.ts';
import type { Phase } from './subscription.ts';

export interface Step {
  readonly type: ResourceType;
  readonly phase: Phase;
}

/** Secrets, clusters, endpoints, routes, listeners; then removals the other way round. */
export const STEPS: readonly Step[] = [
  ...TYPE_ORDER.map((type) => ({ type, phase: 'update' }) as const),
  ...TYPE_ORDER.toReversed().map((type) => ({ type, phase: 'removal' }) as const),
];

const KNOWN: ReadonlySet<string> = new Set(Object.values(TYPE));

/** True for the types that are served. */
export function isServedType(url: string): url is ResourceType {
  return KNOWN.has(url);
}
