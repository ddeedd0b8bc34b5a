/**
 * Finds start line and fields of a head, or the fields of a trailer section, byte by byte and only once, however it is cut (RFC 9112 2, 5).
 * A head that lies in one chunk is read in place; of a head in pieces the pieces are held together up to the limit.
 * Knows what a line may look like, not what a field means.
 */
import { HASH_SEED, hashStep, internFieldName, type FieldName } from '../field-names.ts';
import { COLON, CR, FIELD_VALUE, HTAB, LF, SP, TOKEN_LOWER } from '../grammar.ts';
import { latin1 } from '../latin1.ts';
import type { HeadLimits, ParseFailure } from '../message.ts';

/** Reads the bytes of a start line, its CRLF not included; returns why it is refused, or null. */
export interface StartLine {
  /** Longest line that is worth waiting for. */
  readonly maxBytes: number;
  read(bytes: Buffer, start: number, end: number): ParseFailure | null;
}

/** In the middle of what the scanner is: small integers, as this is the innermost loop. */
const START = 0;
const LINE = 1;
const NAME = 2;
const BLANK = 3;
const VALUE = 4;
const DONE = 5;

/** Pieces are taken over in steps, so that a body behind the head is not copied with it. */
const STEP_BYTES = 4096;
const NO_BYTES: Buffer = Buffer.alloc(0);

export class HeadScanner {
  /** Names of the fields found; the first `count` are meant, behind them stand those of the last head. */
  readonly names: FieldName[] = [];
  /** Start and end of each value, relative to the head. */
  readonly spans: number[] = [];
  count = 0;
  failure: ParseFailure | null = null;

  readonly #limits: HeadLimits;
  #startLine: StartLine | null = null;
  #phase = START;
  /** Next byte to look at, and start of the name or value at hand, relative to the head. */
  #at = 0;
  #mark = 0;
  #hash = HASH_SEED;
  /** Where the head lies: `#bytes` from `#base`. */
  #bytes: Buffer = NO_BYTES;
  #base = 0;
  #held: Buffer = NO_BYTES;
  #heldBytes = 0;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  /** Starts a head, or a trailer section when there is no start line. */
  begin(startLine: StartLine | null): void {
    this.#startLine = startLine;
    this.#phase = startLine === null ? LINE : START;
    this.#at = 0;
    this.#mark = 0;
    this.#heldBytes = 0;
    this.count = 0;
  }

  get done(): boolean {
    return this.#phase === DONE;
  }

  /** Takes what belongs to the head from `chunk[start, end)` and returns the index after it. Then: `failure`, or `done`, or more is needed. */
  feed(chunk: Buffer, start: number, end: number): number {
    if (this.#heldBytes > 0) return this.#feedHeld(chunk, start, end);
    const limit = Math.min(end, start + this.#limits.maxHeadBytes);
    this.#scan(chunk, start, limit);
    if (this.done || this.failure !== null) return start + this.#at;
    if (limit - start >= this.#limits.maxHeadBytes) this.#refuse('headers-too-large', 'the head is too large');
    else this.#hold(chunk, start, end);
    return end;
  }

  /** The whole head as text, into which `spans` point. */
  text(): string {
    return latin1(this.#bytes, this.#base, this.#base + this.#at);
  }

  /** Lets go of the bytes once the head was read, and of names that would be a burden to keep for the next. */
  release(): void {
    this.#bytes = NO_BYTES;
    this.#held = NO_BYTES;
    this.#heldBytes = 0;
    if (this.#at > STEP_BYTES) this.names.length = 0;
  }

  #feedHeld(chunk: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const before = this.#heldBytes;
      const step = Math.min(end, at + STEP_BYTES, at + this.#limits.maxHeadBytes - before);
      this.#hold(chunk, at, step);
      this.#scan(this.#held, 0, this.#heldBytes);
      if (this.done || this.failure !== null) return at + this.#at - before;
      if (this.#heldBytes >= this.#limits.maxHeadBytes) {
        this.#refuse('headers-too-large', 'the head is too large');
        return end;
      }
      at = step;
    }
    return at;
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const needed = this.#heldBytes + end - start;
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#limits.maxHeadBytes, Math.max(1024, needed * 2)));
      this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#heldBytes, start, end);
    this.#bytes = NO_BYTES;
    this.#heldBytes = needed;
  }

  #refuse(kind: ParseFailure['kind'], detail: string): void {
    this.failure = { kind, detail };
  }

  #scan(bytes: Buffer, base: number, end: number): void {
    this.#bytes = bytes;
    this.#base = base;
    let at = base + this.#at;
    if (this.#phase === START) at = this.#scanStartLine(bytes, at, end);
    if (this.#phase !== START && this.failure === null) at = this.#scanFields(bytes, at, end);
    this.#at = at - base;
  }

  /** Returns where it stopped; past the CRLF when the line was whole and is accepted. */
  #scanStartLine(bytes: Buffer, from: number, end: number): number {
    const line = this.#startLine!;
    let at = from;
    while (at < end && FIELD_VALUE[bytes[at]!] === 1) at++;
    if (at - this.#base > line.maxBytes) this.#refuse('uri-too-long', 'the start line is too long');
    else if (at + 1 < end || (at < end && bytes[at] !== CR)) {
      if (bytes[at] !== CR || bytes[at + 1] !== LF) this.#refuse('bad-request', 'control character in the start line');
      else {
        this.failure = line.read(bytes, this.#base, at);
        this.#phase = LINE;
        return at + 2;
      }
    }
    return at;
  }

  /**
   * Field lines up to the empty line. Returns where it stopped; the phase tells in the middle of what.
   * Tables and position are locals: this is the innermost loop of the proxy, and an import or a field is a load each time.
   */
  #scanFields(bytes: Buffer, from: number, end: number): number {
    const valueTable = FIELD_VALUE;
    let at = from;
    for (;;) {
      if (this.#phase === LINE) {
        if (at === end) return at;
        if (bytes[at] === CR) return this.#scanEmptyLine(bytes, at, end);
        this.#mark = at - this.#base;
        this.#hash = HASH_SEED;
        this.#phase = NAME;
      }
      if (this.#phase === NAME) {
        at = this.#scanName(bytes, at, end);
        if (this.#phase === NAME) return at;
      }
      if (this.#phase === BLANK) {
        while (at < end && (bytes[at] === SP || bytes[at] === HTAB)) at++;
        if (at === end) return at;
        this.#mark = at - this.#base;
        this.#phase = VALUE;
      }
      while (at < end && valueTable[bytes[at]!] === 1) at++;
      if (at === end || (at + 1 === end && bytes[at] === CR)) return at;
      if (bytes[at] !== CR || bytes[at + 1] !== LF) {
        this.#refuse('bad-request', 'control character in a field value, or a line that does not end in CRLF');
        return at;
      }
      this.#endValue(bytes, at);
      at += 2;
    }
  }

  #scanEmptyLine(bytes: Buffer, at: number, end: number): number {
    if (at + 1 === end) return at;
    if (bytes[at + 1] !== LF) {
      this.#refuse('bad-request', 'bare CR');
      return at;
    }
    this.#phase = DONE;
    return at + 2;
  }

  /** Peers send the same fields in the same order again: true when the name at `at` is the one that stood here in the last head. */
  #isSameName(bytes: Buffer, at: number, end: number): boolean {
    const name = this.names[this.count]?.name ?? '';
    const length = name.length;
    if (length === 0 || at + length >= end || bytes[at + length] !== COLON) return false;
    const tokenTable = TOKEN_LOWER;
    let i = 0;
    while (i < length && tokenTable[bytes[at + i]!] === name.charCodeAt(i)) i++;
    return i === length && this.count < this.#limits.maxFields;
  }

  #scanName(bytes: Buffer, from: number, end: number): number {
    let at = from;
    if (at === this.#base + this.#mark && this.#isSameName(bytes, at, end)) {
      this.#phase = BLANK;
      return at + this.names[this.count]!.name.length + 1;
    }
    let hash = this.#hash;
    let lower = 0;
    const tokenTable = TOKEN_LOWER;
    while (at < end && (lower = tokenTable[bytes[at]!]!) !== 0) {
      hash = hashStep(hash, lower);
      at++;
    }
    this.#hash = hash;
    if (at === end) return at;
    const start = this.#base + this.#mark;
    if (bytes[at] !== COLON || at === start) {
      this.#refuse('bad-request', 'not a field name followed by a colon');
    } else if (this.count >= this.#limits.maxFields) {
      this.#refuse('headers-too-large', 'too many fields');
    } else {
      this.names[this.count] = internFieldName(bytes, start, at, hash);
      this.#phase = BLANK;
      return at + 1;
    }
    return at;
  }

  #endValue(bytes: Buffer, lineEnd: number): void {
    const start = this.#base + this.#mark;
    let end = lineEnd;
    while (end > start && (bytes[end - 1] === SP || bytes[end - 1] === HTAB)) end--;
    this.spans[this.count * 2] = this.#mark;
    this.spans[this.count * 2 + 1] = end - this.#base;
    this.count++;
    this.#phase = LINE;
  }
}
