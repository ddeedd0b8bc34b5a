/**
 * Structural sharing: a new value made of the parts of an old one wherever they are equal, so that whoever compares by identity
 * sees what really changed. Knows plain data only: objects, arrays, maps.
 */

/** Equal in value to `next`; the very same object as `previous`, whole or in parts, where nothing changed. */
export function share<T>(previous: unknown, next: T): T {
  if (Object.is(previous, next) || typeof next !== 'object' || next === null) return next;
  if (Array.isArray(next)) return shareArray(previous, next) as T;
  if (next instanceof Map) return shareMap(previous, next) as T;
  if (typeof previous !== 'object' || previous === null || Array.isArray(previous) || previous instanceof Map)
    return next;
  return shareObject(previous as Record<string, unknown>, next as Record<string, unknown>) as T;
}

function shareArray(previous: unknown, next: readonly unknown[]): readonly unknown[] {
  if (!Array.isArray(previous)) return next;
  let same = previous.length === next.length;
  const shared = next.map((value, i) => {
    const kept: unknown = share(previous[i], value);
    if (kept !== previous[i]) same = false;
    return kept;
  });
  return same ? previous : shared;
}

function shareMap(previous: unknown, next: ReadonlyMap<unknown, unknown>): ReadonlyMap<unknown, unknown> {
  if (!(previous instanceof Map)) return next;
  let same = previous.size === next.size;
  const shared = new Map<unknown, unknown>();
  for (const [key, value] of next) {
    const before: unknown = previous.get(key);
    const kept = share(before, value);
    if (kept !== before || before === undefined) same = false;
    shared.set(key, kept);
  }
  return same ? previous : shared;
}

function shareObject(previous: Record<string, unknown>, next: Record<string, unknown>): Record<string, unknown> {
  const keys = Object.keys(next);
  let same = keys.length === Object.keys(previous).length;
  const shared: Record<string, unknown> = {};
  for (const key of keys) {
    shared[key] = share(previous[key], next[key]);
    if (!Object.is(shared[key], previous[key])) same = false;
  }
  return same ? previous : shared;
}
