/**
 * Bytes and typed extensions to messages, with everything unknown told.
 * Knows protobuf, and no resource.
 */
import type { Any } from '#api/generated/google/protobuf/any.ts';
import type { Problems } from '#base/problems.ts';
import { reportUnknownFields } from './unsupported.ts';

/** What the generated code offers for each message. */
export interface Codec<T> {
  decode(input: Uint8Array): T;
}

/** The message in `bytes`; null, and a problem, when they are none. */
export function readMessage<T extends object>(
  codec: Codec<T>,
  bytes: Uint8Array,
  path: string,
  problems: Problems,
): T | null {
  let message: T;
  try {
    message = codec.decode(bytes);
  } catch (error) {
    problems.add(path, `cannot be decoded: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
  reportUnknownFields(message, path, problems);
  return message;
}

/** The message in `any`, if it is of type `typeUrl`; null without a problem when it is absent or of another type. */
export function readAny<T extends object>(
  any: Any | undefined,
  typeUrl: string,
  codec: Codec<T>,
  path: string,
  problems: Problems,
): T | null {
  return any?.typeUrl === typeUrl ? readMessage(codec, any.value, path, problems) : null;
}

/** Type URL without its prefix, for sentences. */
export function shortType(typeUrl: string | undefined): string {
  return typeUrl === undefined || typeUrl === '' ? 'an empty extension' : typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}
