/** What differs between two plain values, member by member. Knows nothing of what they mean. */

export interface Difference {
  /** As in a manifest: `action.backends[0].weight`; empty: the whole. */
  readonly path: string;
  /** Undefined: it was not there. */
  readonly before: unknown;
  /** Undefined: it is gone. */
  readonly after: unknown;
}

/** In the order of their members. Members whose names begin with `_`, and functions, do not count. */
export function differences(before: unknown, after: unknown, path = ''): readonly Difference[] {
  if (Object.is(before, after)) return [];
  if (!isPlain(before) || !isPlain(after) || Array.isArray(before) !== Array.isArray(after)) {
    return [{ path, before, after }];
  }
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) => {
    const [a, b] = [before[name], after[name]];
    if (typeof a === 'function' || typeof b === 'function') return [];
    return differences(a, b, Array.isArray(before) ? `${path}[${name}]` : join(path, name));
  });
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
