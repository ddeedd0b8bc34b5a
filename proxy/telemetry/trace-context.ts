/**
 * Takes up the trace that a request belongs to, or begins one, and hands it on with a span of our own:
 * W3C Trace Context (level 2, https://www.w3.org/TR/trace-context-2/) and B3 (https://github.com/openzipkin/b3-propagation).
 * Knows header fields, no exporter. What cannot be read restarts the trace, it never fails a request.
 */
import type { IdSource } from './ids.ts';

/** The part of a HeaderList that is needed: names in lower case, one flat array. */
export interface TraceFields {
  readonly fields: readonly string[];
  set(name: string, value: string): void;
  /** Unchecked: for what is made here of checked parts. */
  setOwn(name: string, value: string): void;
  remove(name: string): boolean;
}

export class TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** Of our own span, as the next hop sees it: 16 hexadecimal digits. */
  readonly spanId: string;
  /** Of the span that called us; '' when the trace begins here. */
  readonly parentSpanId: string;
  readonly sampled: boolean;
  readonly requestId: string;
  /** Nobody before us has decided anything. */
  readonly begins: boolean;

  constructor(
    traceId: string,
    spanId: string,
    parentSpanId: string,
    sampled: boolean,
    requestId: string,
    begins: boolean,
  ) {
    this.traceId = traceId;
    this.spanId = spanId;
    this.parentSpanId = parentSpanId;
    this.sampled = sampled;
    this.requestId = requestId;
    this.begins = begins;
  }
}

const SAMPLED = 0x01;
/** Level 2: the trace id is random as a whole. */
const RANDOM = 0x02;
const FLAGS = ['00', '01', '02', '03'] as const;
const TRACEPARENT_LENGTH = 55;
const ZERO_TRACE = '0'.repeat(32);
const ZERO_SPAN = '0'.repeat(16);

/** Where the fields that concern us lie: indices of values, 0 when absent (a value never lies at 0). */
class Found {
  traceparent = 0;
  traceparents = 0;
  tracestate = 0;
  tracestates = 0;
  b3 = 0;
  b3TraceId = 0;
  b3SpanId = 0;
  b3Sampled = 0;
  b3Flags = 0;
  requestId = 0;
}

/** The caller's span, as far as it could be read; `traceId` '' when only a sampling decision came. */
interface Caller {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
  /** B3 ids of 64 bits go on as 64 bits. */
  readonly shortTraceId: boolean;
}

/**
 * Gives the request a span of ours: traceparent (and B3, if it came in) then name it, tracestate is combined and bounded, x-request-id is
 * kept or made. A trace that begins here is not sampled until `markSampled`.
 */
export function continueTrace(headers: TraceFields, ids: IdSource): TraceContext {
  const fields = headers.fields;
  const found = find(fields);
  const w3c = found.traceparents === 1 ? parseTraceparent(fields[found.traceparent]!) : null;
  const caller = w3c ?? parseB3(fields, found);
  const begins = caller === null || caller.traceId === '';
  const traceId = begins ? ids.traceId() : caller.traceId;
  const spanId = ids.spanId();
  const flags = caller === null ? RANDOM : caller.flags;
  const requestId = (found.requestId === 0 ? '' : fields[found.requestId]!) || ids.requestId();
  const parent = begins ? '' : caller.spanId;
  const context = new TraceContext(traceId, spanId, parent, (flags & SAMPLED) !== 0, requestId, caller === null);

  if (found.tracestates > 0) handOnTracestate(headers, found, w3c !== null);
  if (found.b3 !== 0) headers.set('b3', b3Single(context, caller?.shortTraceId === true));
  if (found.b3TraceId !== 0 || found.b3Sampled !== 0) writeB3(headers, context, found, caller?.shortTraceId === true);
  if (found.requestId === 0 || requestId !== fields[found.requestId]) headers.setOwn('x-request-id', requestId);
  headers.setOwn('traceparent', `00-${traceId}-${spanId}-${FLAGS[flags]}`);
  return context;
}

/** The decision for a trace that began with `continueTrace`: in every field that carries it on. */
export function markSampled(headers: TraceFields): void {
  const { fields } = headers;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (name === 'traceparent') headers.set(name, `${fields[i + 1]!.slice(0, -2)}${FLAGS[RANDOM | SAMPLED]}`);
    else if (name === 'x-b3-sampled') headers.set(name, '1');
    else if (name === 'b3') headers.set(name, fields[i + 1]!.replace(/-0(?=-|$)/, '-1'));
  }
}

/** One pass; by length first, as most names differ in it from ours. */
function find(fields: readonly string[]): Found {
  const found = new Found();
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    switch (name.length) {
      case 2:
        if (name === 'b3') found.b3 = i + 1;
        break;
      case 10:
        if (name === 'tracestate') {
          if (found.tracestates++ === 0) found.tracestate = i + 1;
        } else if (name === 'x-b3-flags') found.b3Flags = i + 1;
        break;
      case 11:
        if (name === 'traceparent') {
          found.traceparent = i + 1;
          found.traceparents++;
        } else if (name === 'x-b3-spanid') found.b3SpanId = i + 1;
        break;
      case 12:
        if (name === 'x-request-id') found.requestId ||= i + 1;
        else if (name === 'x-b3-traceid') found.b3TraceId = i + 1;
        else if (name === 'x-b3-sampled') found.b3Sampled = i + 1;
        break;
      default:
    }
  }
  return found;
}

/** Lower-case hexadecimal digits only, as both formats demand. */
function isHex(text: string, start: number, end: number): boolean {
  if (end > text.length) return false;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false;
  }
  return true;
}

/** Section 3.2. A version above 00 is read by the rules of 00 and may be longer; ff is invalid. Null: restart the trace. */
function parseTraceparent(value: string): Caller | null {
  const dashes = value.charCodeAt(2) === 0x2d && value.charCodeAt(35) === 0x2d && value.charCodeAt(52) === 0x2d;
  if (!dashes || !isHex(value, 0, 2) || !isHex(value, 3, 35) || !isHex(value, 36, 52) || !isHex(value, 53, 55))
    return null;
  if (value.length > TRACEPARENT_LENGTH && (value.startsWith('00') || value.charCodeAt(55) !== 0x2d)) return null;
  if (value.startsWith('ff')) return null;
  const traceId = value.slice(3, 35);
  const spanId = value.slice(36, 52);
  if (traceId === ZERO_TRACE || spanId === ZERO_SPAN) return null;
  const flags = Number.parseInt(value[54]!, 16) & (SAMPLED | RANDOM);
  return { traceId, spanId, flags, shortTraceId: false };
}

function parseB3(fields: readonly string[], found: Found): Caller | null {
  if (found.b3 !== 0) {
    const [traceId = '', spanId = '', sampling = ''] = fields[found.b3]!.split('-', 3);
    const caller = spanId === '' ? null : b3Caller(traceId, spanId, sampling);
    return caller ?? (traceId === '0' || traceId === '1' || traceId === 'd' ? b3Caller('', '', traceId) : null);
  }
  if (found.b3TraceId === 0 && found.b3Sampled === 0) return null;
  const debug = found.b3Flags !== 0 && fields[found.b3Flags] === '1';
  const sampled = found.b3Sampled === 0 ? '' : fields[found.b3Sampled]!;
  const traceId = found.b3TraceId === 0 ? '' : fields[found.b3TraceId]!;
  const spanId = found.b3SpanId === 0 ? '' : fields[found.b3SpanId]!;
  return b3Caller(traceId, spanId, debug ? 'd' : sampled);
}

/** Null when the ids are invalid: then the trace begins anew. An undecided sampling counts as not sampled. */
function b3Caller(traceId: string, spanId: string, sampling: string): Caller | null {
  const flags = sampling === '1' || sampling === 'd' || sampling === 'true' ? SAMPLED : 0;
  if (traceId === '' && spanId === '') return { traceId: '', spanId: '', flags, shortTraceId: false };
  const sound = (traceId.length === 16 || traceId.length === 32) && isHex(traceId, 0, traceId.length);
  const full = traceId.padStart(32, '0');
  if (!sound || spanId.length !== 16 || !isHex(spanId, 0, 16) || full === ZERO_TRACE || spanId === ZERO_SPAN)
    return null;
  return { traceId: full, spanId, flags, shortTraceId: traceId.length === 16 };
}

function b3Single(context: TraceContext, shortTraceId: boolean): string {
  const traceId = shortTraceId ? context.traceId.slice(16) : context.traceId;
  const parent = context.parentSpanId === '' ? '' : `-${context.parentSpanId}`;
  return `${traceId}-${context.spanId}-${context.sampled ? '1' : '0'}${parent}`;
}

function writeB3(headers: TraceFields, context: TraceContext, found: Found, shortTraceId: boolean): void {
  headers.set('x-b3-traceid', shortTraceId ? context.traceId.slice(16) : context.traceId);
  headers.set('x-b3-spanid', context.spanId);
  if (context.parentSpanId === '') headers.remove('x-b3-parentspanid');
  else headers.set('x-b3-parentspanid', context.parentSpanId);
  // The debug flag implies the decision and goes on as it came.
  if (found.b3Flags === 0) headers.set('x-b3-sampled', context.sampled ? '1' : '0');
}

/** Section 3.3: belongs to its traceparent, so it goes when that one cannot be read; several lines become one; an invalid list is dropped whole. */
function handOnTracestate(headers: TraceFields, found: Found, kept: boolean): void {
  const fields = headers.fields;
  let combined = fields[found.tracestate]!;
  if (found.tracestates > 1) {
    for (let i = found.tracestate + 1; i < fields.length; i += 2) {
      if (fields[i] === 'tracestate' && fields[i + 1] !== '')
        combined += combined === '' ? fields[i + 1]! : `,${fields[i + 1]!}`;
    }
  }
  if (!kept || !isTracestate(combined)) headers.remove('tracestate');
  else if (found.tracestates > 1) headers.set('tracestate', combined);
}

const MAX_MEMBERS = 32;
const MAX_KEY_LENGTH = 256;
const MAX_VALUE_LENGTH = 256;

/** A list of 1 to 32 members (3.3.1.1); empty members are allowed and do not count. */
function isTracestate(value: string): boolean {
  let members = 0;
  for (const part of value.split(',')) {
    const member = part.trim();
    if (member === '') continue;
    const equals = member.indexOf('=');
    if (++members > MAX_MEMBERS || !isKey(member, equals) || !isMemberValue(member, equals + 1)) return false;
  }
  return members > 0;
}

/** `member[0, end)`: a lower-case letter or digit, then 0*255 of those and `_ - * / @` (level 2, 3.3.1.3.1). */
function isKey(member: string, end: number): boolean {
  if (end < 1 || end > MAX_KEY_LENGTH) return false;
  for (let i = 0; i < end; i++) {
    const code = member.charCodeAt(i);
    const alphanumeric = (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
    const mark = code === 0x5f || code === 0x2d || code === 0x2a || code === 0x2f || code === 0x40;
    if (!alphanumeric && (i === 0 || !mark)) return false;
  }
  return true;
}

/** Printable ASCII but `,` and `=`, 1 to 256 characters, no blank at the end (the member is trimmed). */
function isMemberValue(member: string, start: number): boolean {
  const length = member.length - start;
  if (length < 1 || length > MAX_VALUE_LENGTH) return false;
  for (let i = start; i < member.length; i++) {
    const code = member.charCodeAt(i);
    if (code < 0x20 || code > 0x7e || code === 0x3d) return false;
  }
  return true;
}
