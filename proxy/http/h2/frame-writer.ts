/**
 * Frames as latin1 text, one character a byte, to be gathered with others into one write (RFC 9113 4.1, 6).
 * Text and not buffers: joining short strings costs a pointer, and the socket encodes all of a turn at once (measured in bench/h2.ts).
 */
import { ERROR, FLAG, TYPE } from './frames.ts';

const char = String.fromCharCode;

function uint32(value: number): string {
  return char(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

/** What stands before `lengthBytes` bytes of payload. */
export function frameHead(lengthBytes: number, type: number, flags: number, streamId: number): string {
  return char(
    lengthBytes >>> 16,
    (lengthBytes >>> 8) & 255,
    lengthBytes & 255,
    type,
    flags,
    streamId >>> 24,
    (streamId >>> 16) & 255,
    (streamId >>> 8) & 255,
    streamId & 255,
  );
}

/** A header block as HEADERS, and CONTINUATION where the peer's largest frame is not enough (RFC 9113 6.10). */
export function headersFrames(block: string, streamId: number, endStream: boolean, maxFrameBytes: number): string {
  const end = endStream ? FLAG.endStream : 0;
  if (block.length <= maxFrameBytes) {
    return frameHead(block.length, TYPE.headers, end | FLAG.endHeaders, streamId) + block;
  }
  let text = frameHead(maxFrameBytes, TYPE.headers, end, streamId) + block.slice(0, maxFrameBytes);
  for (let at = maxFrameBytes; at < block.length; at += maxFrameBytes) {
    const piece = block.slice(at, at + maxFrameBytes);
    const flags = at + maxFrameBytes >= block.length ? FLAG.endHeaders : 0;
    text += frameHead(piece.length, TYPE.continuation, flags, streamId) + piece;
  }
  return text;
}

export function rstStreamFrame(streamId: number, code: number): string {
  return frameHead(4, TYPE.rstStream, 0, streamId) + uint32(code);
}

/** @param pairs identifier, value, identifier, value ... */
export function settingsFrame(pairs: readonly number[]): string {
  let text = frameHead(pairs.length * 3, TYPE.settings, 0, 0);
  for (let i = 0; i < pairs.length; i += 2) text += char(pairs[i]! >>> 8, pairs[i]! & 255) + uint32(pairs[i + 1]!);
  return text;
}

export const SETTINGS_ACK = frameHead(0, TYPE.settings, FLAG.ack, 0);

/** @param payload eight bytes */
export function pingFrame(payload: string, isAck: boolean): string {
  return frameHead(8, TYPE.ping, isAck ? FLAG.ack : 0, 0) + payload;
}

/** @param detail ASCII, for people (RFC 9113 6.8: additional debug data) */
export function goawayFrame(lastStreamId: number, code: number, detail: string): string {
  const debug = code === ERROR.none ? '' : detail;
  return frameHead(8 + debug.length, TYPE.goaway, 0, 0) + uint32(lastStreamId) + uint32(code) + debug;
}

export function windowUpdateFrame(streamId: number, increment: number): string {
  return frameHead(4, TYPE.windowUpdate, 0, streamId) + uint32(increment);
}
