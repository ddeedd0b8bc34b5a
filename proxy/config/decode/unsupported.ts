/**
 * Finds what a message says that we would not obey: fields that our protos do not have, extensions that we do not know.
 * Knows no resource. One walk names every unknown field of a message, however deep, so that the decoders see only known ones.
 */
import type { Problems } from '#base/problems.ts';

/** `match` below `routes[2]`: `routes[2].match`. */
export function at(path: string, field: string): string {
  return path === '' ? field : `${path}.${field}`;
}

/** A part that Envoy has and we do not obey yet. `supported` says what would be right; empty: leave it out. */
export function refuse(problems: Problems, path: string, what: string, supported = ''): void {
  problems.add(path, `${what} is not supported`, supported === '' ? 'leave it out' : `supported: ${supported}`);
}

/** Tells every unknown field in `message` and below it. Extensions (`Any`) are told when they are unpacked. */
export function reportUnknownFields(message: object, path: string, problems: Problems): void {
  for (const [key, value] of Object.entries(message)) {
    if (key === '_unknownFields') reportTags(value as Readonly<Record<string, unknown>> | undefined, path, problems);
    else reportBelow(value, at(path, protoName(key)), problems);
  }
}

function reportTags(tags: Readonly<Record<string, unknown>> | undefined, path: string, problems: Problems): void {
  for (const tag of Object.keys(tags ?? {})) problems.add(path, `field ${Number(tag) >>> 3} is not supported`);
}

function reportBelow(value: unknown, path: string, problems: Problems): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) reportBelow(value[i], `${path}[${i}]`, problems);
  } else if ('$case' in value && 'value' in value) {
    // A oneof: its path is that of the member that was set.
    reportBelow(value.value, `${path.slice(0, path.lastIndexOf('.') + 1)}${protoName(String(value.$case))}`, problems);
  } else reportUnknownFields(value, path, problems);
}

/** `virtualHosts` as the proto writes it: `virtual_hosts`. */
function protoName(key: string): string {
  return key.replaceAll(/[A-Z]|\d+(?=xx)/g, (part) => `_${part.toLowerCase()}`);
}
