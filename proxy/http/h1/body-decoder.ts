/**
 * Where a body ends, and which bytes are it: by length, by chunks, or by the end of the connection (RFC 9112 6.3, 7.1).
 * Hands on slices of what it was given and keeps none; shared by requests and answers.
 */
import { CR, HEX_VALUE, LF, SEMICOLON } from '../grammar.ts';
import { HeaderList, isForbiddenTrailer } from '../headers.ts';
import type { BodyKind, ParseFailure } from '../message.ts';
import { EXTENSION_END, EXTENSION_REFUSED, EXTENSION_START, nextExtensionState } from './chunk-extension.ts';
import type { HeadScanner } from './head-scanner.ts';

export interface BodySink {
  onBody(chunk: Buffer, start: number, end: number): void;
  /** Called once before the end, only when there are trailers that may be passed on. */
  onTrailers(trailers: HeaderList): void;
}

const DONE = 0;
const LENGTH = 1;
const UNTIL_CLOSE = 2;
const SIZE = 3;
const EXTENSION = 4;
const SIZE_LF = 5;
const DATA = 6;
const DATA_CR = 7;
const DATA_LF = 8;
const TRAILERS = 9;

const MAX_SIZE_DIGITS = 16;
const MAX_EXTENSION_BYTES = 16_384;

export class BodyDecoder {
  /** Stops `execute` before the next byte. */
  paused = false;
  failure: ParseFailure | null = null;

  readonly #sink: BodySink;
  readonly #trailers: HeadScanner;
  #state = DONE;
  /** Bytes still to come of the body or of the chunk. */
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  #extensionState = EXTENSION_END;

  /** `trailers` is borrowed: nobody else uses it between `begin` and the end of the body. */
  constructor(sink: BodySink, trailers: HeadScanner) {
    this.#sink = sink;
    this.#trailers = trailers;
  }

  begin(body: BodyKind): void {
    this.#left = 0;
    switch (body.kind) {
      case 'none':
        this.#state = DONE;
        break;
      case 'length':
        this.#left = body.length;
        this.#state = body.length === 0 ? DONE : LENGTH;
        break;
      case 'until-close':
        this.#state = UNTIL_CLOSE;
        break;
      case 'chunked':
        this.#state = SIZE;
        this.#digits = 0;
        this.#extensionBytes = 0;
        break;
    }
  }

  get done(): boolean {
    return this.#state === DONE;
  }

  get untilClose(): boolean {
    return this.#state === UNTIL_CLOSE;
  }

  /** Returns the index of the first byte that was not used. Then: `done`, `failure`, `paused`, or more is needed. */
  execute(chunk: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.#state !== DONE && !this.paused && this.failure === null) {
      switch (this.#state) {
        case LENGTH:
        case DATA:
          at = this.#data(chunk, at, end);
          break;
        case UNTIL_CLOSE:
          this.#sink.onBody(chunk, at, end);
          at = end;
          break;
        case TRAILERS:
          at = this.#trailerSection(chunk, at, end);
          break;
        case SIZE:
          at = this.#size(chunk, at, end);
          break;
        case EXTENSION:
          at = this.#extension(chunk, at, end);
          break;
        default:
          this.#lineEnd(chunk[at]!);
          at++;
      }
    }
    return at;
  }

  #data(chunk: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + this.#left);
    this.#left -= stop - start;
    if (this.#left === 0) this.#state = this.#state === LENGTH ? DONE : DATA_CR;
    this.#sink.onBody(chunk, start, stop);
    return stop;
  }

  /** 1*16HEXDIG, then a CR or an extension: no white space, no sign, no prefix (RFC 9112 7.1). */
  #size(chunk: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const byte = chunk[at++]!;
      const digit = HEX_VALUE[byte]!;
      if (digit !== 255) {
        this.#left = this.#left * 16 + digit;
        this.#digits++;
        if (this.#digits > MAX_SIZE_DIGITS || this.#left > Number.MAX_SAFE_INTEGER)
          return this.#refuse(at, 'the chunk size is too large');
        continue;
      }
      if (this.#digits === 0 || (byte !== CR && byte !== SEMICOLON)) return this.#refuse(at, 'not a chunk size');
      this.#state = byte === CR ? SIZE_LF : EXTENSION;
      this.#extensionState = EXTENSION_START;
      return at;
    }
    return at;
  }

  /** Extensions are read and forgotten: they end at this hop. */
  #extension(chunk: Buffer, start: number, end: number): number {
    let at = start;
    let state = this.#extensionState;
    while (at < end && state > EXTENSION_END) state = nextExtensionState(state, chunk[at++]!);
    this.#extensionState = state;
    this.#extensionBytes += at - start;
    if (state === EXTENSION_REFUSED) return this.#refuse(at, 'not a chunk extension');
    if (this.#extensionBytes > MAX_EXTENSION_BYTES) return this.#refuse(at, 'too many bytes of chunk extensions');
    if (state === EXTENSION_END) this.#state = SIZE_LF;
    return at;
  }

  #lineEnd(byte: number): void {
    if (byte !== (this.#state === DATA_CR ? CR : LF)) this.#refuse(0, 'a chunk does not end in CRLF');
    else if (this.#state === DATA_CR) this.#state = DATA_LF;
    else if (this.#state === DATA_LF) {
      this.#state = SIZE;
      this.#digits = 0;
    } else if (this.#left > 0) this.#state = DATA;
    else {
      this.#state = TRAILERS;
      this.#trailers.begin(null);
    }
  }

  #trailerSection(chunk: Buffer, start: number, end: number): number {
    const scanner = this.#trailers;
    const at = scanner.feed(chunk, start, end);
    if (scanner.failure !== null) this.failure = scanner.failure;
    else if (scanner.done) {
      this.#state = DONE;
      const trailers = scanner.count === 0 ? null : readTrailers(scanner);
      scanner.release();
      if (trailers !== null && trailers.size > 0) this.#sink.onTrailers(trailers);
    }
    return at;
  }

  #refuse(at: number, detail: string): number {
    this.failure = { kind: 'bad-request', detail };
    return at;
  }
}

/** The fields that may come as trailers; the others are left out, not merged anywhere (RFC 9110 6.5.1). */
function readTrailers(scanner: HeadScanner): HeaderList {
  const text = scanner.text();
  const fields: string[] = [];
  for (let i = 0; i < scanner.count; i++) {
    const name = scanner.names[i]!.name;
    if (!isForbiddenTrailer(name)) fields.push(name, text.substring(scanner.spans[i * 2]!, scanner.spans[i * 2 + 1]));
  }
  return new HeaderList(fields);
}
