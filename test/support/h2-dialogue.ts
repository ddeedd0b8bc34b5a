/**
 * Frames of HTTP/2 over a real socket, as a test writes and reads them, right or wrong; every wait ends with the socket at the latest.
 * Knows the wire only: nothing of it goes through the code under test but HPACK, which has tests of its own.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { errorWord, PREFACE } from '../../proxy/http/h2/frames.ts';
import { HpackDecoder } from '../../proxy/http/h2/hpack/decoder.ts';

export const T = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;
const NAMES = Object.keys(T);

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const PRIORITY = 0x20;

export function u16(value: number): string {
  return String.fromCharCode((value >>> 8) & 255, value & 255);
}

export function u32(value: number): string {
  return u16(value >>> 16) + u16(value & 0xffff);
}

/** Any frame, also one that may not be. */
export function frame(type: number, flags: number, streamId: number, payload = '', length = payload.length): string {
  return u32(length).slice(1) + String.fromCharCode(type, flags) + u32(streamId) + payload;
}

function literal(text: string): string {
  const length = text.length;
  if (length < 127) return String.fromCharCode(length) + text;
  let rest = length - 127;
  let head = '\x7f';
  for (; rest >= 128; rest >>>= 7) head += String.fromCharCode((rest & 127) | 128);
  return head + String.fromCharCode(rest) + text;
}

/** A header block of literals without indexing: it depends on no table. */
export function block(fields: readonly string[]): string {
  let text = '';
  for (let i = 0; i < fields.length; i += 2) text += `\0${literal(fields[i]!)}${literal(fields[i + 1]!)}`;
  return text;
}

export const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'];
export const POST = [':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'a'];

export function headers(streamId: number, fields: readonly string[], flags = END_STREAM | END_HEADERS): string {
  return frame(T.HEADERS, flags, streamId, block(fields));
}

export function data(streamId: number, text: string, flags = 0): string {
  return frame(T.DATA, flags, streamId, text);
}

export function settings(...pairs: readonly (readonly [number, number])[]): string {
  return frame(T.SETTINGS, 0, 0, pairs.map(([id, value]) => u16(id) + u32(value)).join(''));
}

export function windowUpdate(streamId: number, increment: number): string {
  return frame(T.WINDOW_UPDATE, 0, streamId, u32(increment));
}

export function rstStream(streamId: number, code = 8): string {
  return frame(T.RST_STREAM, 0, streamId, u32(code));
}

export function goaway(lastStreamId: number, code = 0): string {
  return frame(T.GOAWAY, 0, 0, u32(lastStreamId) + u32(code));
}

export function ping(payload = 'question'): string {
  return frame(T.PING, 0, 0, payload);
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** Of HEADERS, decoded. */
  readonly fields: readonly string[];
}

export class Dialogue {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  isClosed = false;
  /** Bytes of the peer's preface to be passed over. */
  #preface: number;
  #rest: Buffer = Buffer.alloc(0);
  readonly #decoder = new HpackDecoder(4096, { maxListBytes: 1 << 20, maxFields: 1000 });
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket, isServer: boolean) {
    this.socket = socket;
    this.#preface = isServer ? PREFACE.length : 0;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => undefined);
    socket.on('end', () => this.#onClosed());
    socket.on('close', () => this.#onClosed());
  }

  send(...texts: readonly string[]): this {
    this.socket.write(texts.join(''), 'latin1');
    return this;
  }

  /** Resolves with what `look` finds, as soon as it finds something; rejects when the connection closes before. */
  find<V>(look: (frames: readonly Frame[]) => V | undefined): Promise<V> {
    return new Promise((resolve, reject) => {
      const watch = (): void => {
        const found = look(this.frames);
        if (found !== undefined) resolve(found);
        else if (this.isClosed) reject(new Error(`closed after ${this.summary().join(', ')}`));
        else return;
        this.#watchers.delete(watch);
      };
      this.#watchers.add(watch);
      watch();
    });
  }

  /** The first frame of that type, on that stream if one is named. */
  frame(type: number, streamId = -1): Promise<Frame> {
    return this.find((frames) => frames.find((f) => f.type === type && (streamId < 0 || f.streamId === streamId)));
  }

  /** Sends a PING and waits for its answer, or for the end: what was sent before has been dealt with. */
  async settled(): Promise<void> {
    const token = String(this.frames.length).padStart(8, '.');
    if (!this.isClosed) this.send(ping(token));
    await this.find((frames) => frames.find((f) => f.type === T.PING && f.payload.latin1Slice() === token)).catch(
      () => undefined,
    );
  }

  closed(): Promise<void> {
    return new Promise((resolve) => {
      const watch = (): void => {
        if (!this.isClosed) return;
        this.#watchers.delete(watch);
        resolve();
      };
      this.#watchers.add(watch);
      watch();
    });
  }

  /** Bytes of DATA received on a stream. */
  contentBytes(streamId: number): number {
    let bytes = 0;
    for (const f of this.frames) if (f.type === T.DATA && f.streamId === streamId) bytes += f.payload.length;
    return bytes;
  }

  /** What was received, in words; without SETTINGS, window updates, and answers to PINGs of `settled`. */
  summary(): string[] {
    const words = this.frames
      .filter((f) => f.type !== T.SETTINGS && f.type !== T.WINDOW_UPDATE && !(f.type === T.PING && isToken(f)))
      .map(describe);
    return this.isClosed ? [...words, 'closed'] : words;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #onClosed(): void {
    this.isClosed = true;
    this.#look();
  }

  #onData(chunk: Buffer): void {
    const skipped = Math.min(this.#preface, chunk.length);
    this.#preface -= skipped;
    this.#rest = Buffer.concat([this.#rest, chunk.subarray(skipped)]);
    let at = 0;
    for (; this.#rest.length - at >= 9;) {
      const length = this.#rest.readUIntBE(at, 3);
      if (this.#rest.length - at < 9 + length) break;
      this.#take(at, length);
      at += 9 + length;
    }
    this.#rest = this.#rest.subarray(at);
    this.#look();
  }

  #take(at: number, length: number): void {
    const payload = Buffer.from(this.#rest.subarray(at + 9, at + 9 + length));
    const type = this.#rest[at + 3]!;
    const fields: string[] = [];
    if (type === T.HEADERS) this.#decoder.decode(payload, 0, payload.length, fields);
    const streamId = this.#rest.readUInt32BE(at + 5);
    this.frames.push({ type, flags: this.#rest[at + 4]!, streamId, payload, fields });
  }

  #look(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

function isToken(f: Frame): boolean {
  return (f.flags & ACK) !== 0 && f.payload.latin1Slice().startsWith('..');
}

function describe({ type, flags, streamId, payload, fields }: Frame): string {
  const end = (flags & END_STREAM) === 0 ? '' : ' end';
  switch (type) {
    case T.DATA:
      return `DATA ${streamId} ${payload.length}${end}`;
    case T.HEADERS:
      return `HEADERS ${streamId} ${fields[0] === ':status' ? fields[1] : fields.join(' ')}${end}`;
    case T.RST_STREAM:
      return `RST_STREAM ${streamId} ${errorWord(payload.readUInt32BE(0))}`;
    case T.GOAWAY:
      return `GOAWAY ${payload.readUInt32BE(0)} ${errorWord(payload.readUInt32BE(4))}`;
    case T.PING:
      return `PING ${(flags & ACK) === 0 ? '' : 'ack '}${payload.latin1Slice()}`;
    default:
      return `${NAMES[type] ?? type} ${streamId}`;
  }
}

/** A client that has said its preface and SETTINGS. */
export async function openDialogue(port: number, first = PREFACE + settings(), host = '127.0.0.1'): Promise<Dialogue> {
  const socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return new Dialogue(socket, false).send(first);
}

/** A server whose side of each connection the test plays; it has said its SETTINGS. */
export async function dialogueServer(
  onConnection: (dialogue: Dialogue) => void,
  first = settings(),
): Promise<{ port: number; dialogues: Dialogue[]; stopListening: () => void; close: () => void }> {
  const dialogues: Dialogue[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const dialogue = new Dialogue(socket, true).send(first);
    dialogues.push(dialogue);
    onConnection(dialogue);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): void => {
    server.close();
    for (const dialogue of dialogues) dialogue.destroy();
  };
  return { port: (server.address() as AddressInfo).port, dialogues, stopListening: () => void server.close(), close };
}
