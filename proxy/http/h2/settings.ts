/**
 * What the two ends of a connection tell each other about themselves (RFC 9113 6.5, RFC 8441 3).
 * Reads and checks the peer's values; applying them to streams and tables is the connection's.
 */
import { DEFAULT_MAX_FRAME_BYTES, ERROR, LARGEST_MAX_FRAME_BYTES, type H2Error } from './frames.ts';
import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES } from './flow-control.ts';

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

const ENTRY_BYTES = 6;
/** More entries in one frame than there are settings, extensions included, is an attack (nghttp2: 32). */
const MAX_ENTRIES = 32;

/** RFC 7541 4.2: also what we let the peer's encoder use, and never exceed with our own. */
export const HEADER_TABLE_BYTES = 4096;

export class PeerSettings {
  headerTableBytes = HEADER_TABLE_BYTES;
  /** Unlimited until told. */
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindowBytes = DEFAULT_WINDOW_BYTES;
  maxFrameBytes = DEFAULT_MAX_FRAME_BYTES;
  /** RFC 8441: CONNECT with `:protocol` may be sent. */
  connectProtocol = false;

  /** Takes the payload of a SETTINGS frame, in order; unknown identifiers are left out. Null: all is well. */
  apply(bytes: Buffer, start: number, end: number): H2Error | null {
    if ((end - start) % ENTRY_BYTES !== 0) {
      return { code: ERROR.frameSize, detail: 'the length of SETTINGS is not a multiple of 6' };
    }
    if (end - start > MAX_ENTRIES * ENTRY_BYTES) {
      return { code: ERROR.enhanceYourCalm, detail: `more than ${MAX_ENTRIES} entries in SETTINGS` };
    }
    for (let at = start; at < end; at += ENTRY_BYTES) {
      const error = this.#take(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
      if (error !== null) return error;
    }
    return null;
  }

  #take(id: number, value: number): H2Error | null {
    switch (id) {
      case SETTING.headerTableSize:
        this.headerTableBytes = value;
        return null;
      case SETTING.enablePush:
        return value > 1 ? { code: ERROR.protocol, detail: 'SETTINGS_ENABLE_PUSH is neither 0 nor 1' } : null;
      case SETTING.maxConcurrentStreams:
        this.maxConcurrentStreams = value;
        return null;
      case SETTING.initialWindowSize:
        this.initialWindowBytes = value;
        return value > MAX_WINDOW_BYTES
          ? { code: ERROR.flowControl, detail: 'SETTINGS_INITIAL_WINDOW_SIZE is above 2^31-1' }
          : null;
      case SETTING.maxFrameSize:
        this.maxFrameBytes = value;
        return value < DEFAULT_MAX_FRAME_BYTES || value > LARGEST_MAX_FRAME_BYTES
          ? { code: ERROR.protocol, detail: 'SETTINGS_MAX_FRAME_SIZE is out of range' }
          : null;
      case SETTING.enableConnectProtocol:
        if (value > 1 || (this.connectProtocol && value === 0)) {
          return { code: ERROR.protocol, detail: 'SETTINGS_ENABLE_CONNECT_PROTOCOL is not 1, or was taken back' };
        }
        this.connectProtocol = value === 1;
        return null;
      default:
        return null;
    }
  }
}
