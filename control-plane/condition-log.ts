/**
 * Log lines for what changed in the conditions of objects: in a folder mesh there is no other status that a person would look at.
 * Decides which conditions are bad news; knows nothing of how they came about.
 */
import type { Logger } from '#base/log.ts';
import type { Condition, Conditions, ObjectStatus } from './compile/conditions.ts';

/** True when a person should do something about it. */
export function isBadNews({ type, status }: Condition): boolean {
  switch (type) {
    case 'Accepted':
    case 'ResolvedRefs':
    case 'InForce':
      return status === 'False';
    case 'Conflicted':
    case 'Overridden':
      return status === 'True';
  }
}

/** One line for each condition that has become bad news, and one for each object that no longer has any. */
export function logConditions(before: Conditions, after: Conditions, log: Logger): void {
  for (const [key, status] of after) {
    const old = before.get(key);
    if (old === status) continue;
    const known = new Set(badNewsOf(old));
    const news = badNewsOf(status);
    const place = status.place === null ? undefined : `${status.place.file}:${status.place.line}`;
    for (const message of news) if (!known.has(message)) log.warn(message, { object: key, place });
    if (known.size > 0 && news.length === 0) log.info('in order again', { object: key, place });
  }
}

function badNewsOf(status: ObjectStatus | undefined): readonly string[] {
  if (status === undefined) return [];
  const about = status.parents.flatMap(({ ref, conditions }) =>
    conditions
      .filter(isBadNews)
      .map((condition) => `${sentence(condition)} [${ref.kind} ${ref.namespace}/${ref.name}]`),
  );
  return [...status.conditions.filter(isBadNews).map(sentence), ...about];
}

function sentence({ type, status, reason, message }: Condition): string {
  const head = `${type}=${status} ${reason}`;
  return message === '' ? head : `${head}: ${message}`;
}
