/**
 * The words in which conditions are told, the same in logs, on terminals and wherever else people read them.
 * Knows neither what changed nor where it is written.
 */
import type { Condition, ObjectStatus, ParentRefStatus } from '../compile/conditions.ts';

/** Somebody should look at it: something was not done as written. */
export function isTrouble({ type, status }: Condition): boolean {
  return (status === 'True') === (type === 'Conflicted' || type === 'Overridden');
}

/** `ResolvedRefs=False BackendNotFound: Service shop/v1 does not exist`. */
export function conditionText({ type, status, reason, message }: Condition): string {
  return `${type}=${status} ${reason}${message === '' ? '' : `: ${message}`}`;
}

/** `Service shop/reviews:80 port http`. */
export function parentText({ kind, namespace, name, port, sectionName }: ParentRefStatus): string {
  const part =
    sectionName === '' ? '' : ` ${kind === 'Service' || kind === 'ExternalService' ? 'port' : 'rule'} ${sectionName}`;
  return `${kind} ${namespace}/${name}${port === null ? '' : `:${port}`}${part}`;
}

/** `HTTPRoute shop/reviews`. */
export function objectText({ kind, namespace, name }: Pick<ObjectStatus, 'kind' | 'namespace' | 'name'>): string {
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}
