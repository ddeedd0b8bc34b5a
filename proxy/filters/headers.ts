/**
 * Header edits that a route asks for. The order is Envoy's: removals first, then changes as they stand (`HeaderParser::evaluateHeaders`).
 * Knows no route. Framing and routing fields cannot be changed this way: they belong to the codecs and to the route's own rewrites.
 */
import { PROXY_FIELDS } from '#api/proxy-fields.ts';
import type { HeaderChangeConfig, HeaderEditsConfig } from '../config/snapshot.ts';
import type { HeaderList } from '../http/headers.ts';

/** Whether edits may touch the field `name` (lower-case). Others are passed over, for a policy must not break a connection. */
export function isEditable(name: string): boolean {
  return !PROXY_FIELDS.has(name) && !name.startsWith(':');
}

/** Changes `headers` in place. Names and values are valid: decode has seen to it. */
export function applyEdits(headers: HeaderList, edits: HeaderEditsConfig): void {
  for (const name of edits.remove) {
    if (isEditable(name)) headers.remove(name);
  }
  for (const change of edits.changes) {
    if (isEditable(change.name)) applyChange(headers, change);
  }
}

/** Envoy `HeaderValueOption.append_action`. */
function applyChange(headers: HeaderList, change: HeaderChangeConfig): void {
  switch (change.how) {
    case 'append':
      headers.add(change.name, change.value);
      break;
    case 'set':
      headers.set(change.name, change.value);
      break;
    case 'add-if-absent':
      if (!headers.has(change.name)) headers.add(change.name, change.value);
      break;
    case 'set-if-present':
      if (headers.has(change.name)) headers.set(change.name, change.value);
      break;
  }
}
