/**
 * The requirements that h2spec tests (its suites, sections and order within a section), as frames that we send and what must come back.
 * Data only. Written anew: h2spec (MIT) is the source of what is required, not of a line here.
 */
import {
  ACK,
  block,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  goaway,
  headers,
  PADDED,
  ping,
  POST,
  PRIORITY,
  rstStream,
  settings,
  T,
  u32,
  windowUpdate,
} from '../../support/h2-dialogue.ts';

/** h2spec's number of tests of each section. */
export const SECTIONS: Readonly<Record<string, number>> = {
  'generic 1': 1,
  'generic 2': 5,
  'generic 3.1': 3,
  'generic 3.2': 3,
  'generic 3.3': 5,
  'generic 3.4': 1,
  'generic 3.5': 1,
  'generic 3.7': 1,
  'generic 3.8': 1,
  'generic 3.9': 2,
  'generic 3.10': 2,
  'generic 4': 4,
  'generic 5': 15,
  'hpack 2.3.3': 2,
  'hpack 4.2': 1,
  'hpack 5.2': 3,
  'hpack 6.1': 1,
  'hpack 6.3': 1,
  'http2 3.5': 2,
  'http2 4.1': 3,
  'http2 4.2': 3,
  'http2 4.3': 3,
  'http2 5.1': 13,
  'http2 5.1.1': 2,
  'http2 5.1.2': 1,
  'http2 5.3.1': 2,
  'http2 5.4.1': 2,
  'http2 5.5': 2,
  'http2 6.1': 3,
  'http2 6.2': 4,
  'http2 6.3': 2,
  'http2 6.4': 3,
  'http2 6.5': 3,
  'http2 6.5.2': 5,
  'http2 6.5.3': 2,
  'http2 6.7': 4,
  'http2 6.8': 1,
  'http2 6.9': 3,
  'http2 6.9.1': 3,
  'http2 6.9.2': 3,
  'http2 6.10': 6,
  'http2 7': 2,
  'http2 8.1': 1,
  'http2 8.1.2': 1,
  'http2 8.1.2.1': 4,
  'http2 8.1.2.2': 2,
  'http2 8.1.2.3': 7,
  'http2 8.1.2.6': 2,
  'http2 8.2': 1,
};

/** section and number in it; steps, each dealt with before the next is sent; what came back. */
export type Requirement = readonly [id: string, steps: readonly string[], expected: readonly string[]];

function answered(id: number): string[] {
  return [`HEADERS ${id} 200`, `DATA ${id} 5`, `DATA ${id} 0 end`];
}
const OK = answered(1);
function goneAway(code: string, last = 0): string[] {
  return [`GOAWAY ${last} ${code}`, 'closed'];
}
const PROTOCOL = goneAway('PROTOCOL_ERROR');
const PROTOCOL_1 = goneAway('PROTOCOL_ERROR', 1);
const SIZE = goneAway('FRAME_SIZE_ERROR');
const COMPRESSION = goneAway('COMPRESSION_ERROR');
const REFUSED = ['RST_STREAM 1 PROTOCOL_ERROR'];
const STREAM_CLOSED = ['RST_STREAM 1 STREAM_CLOSED'];

const FIELDS = block(GET);
const WHOLE = END_STREAM | END_HEADERS;
const get = headers(1, GET);
/** A request that goes on. */
const post = headers(1, POST, END_HEADERS);
const open = frame(T.HEADERS, END_STREAM, 1, FIELDS);
function priority(streamId: number, dependsOn = 0, weight = 15): string {
  return frame(T.PRIORITY, 0, streamId, u32(dependsOn) + String.fromCharCode(weight));
}
function more(text: string, flags = 0, id = 1): string {
  return frame(T.CONTINUATION, flags, id, text);
}
function raw(text: string): string {
  return frame(T.HEADERS, WHOLE, 1, FIELDS + text);
}
function without(name: string): string[] {
  return GET.filter((_, i) => GET[i - (i & 1)] !== name);
}

const GENERIC: readonly Requirement[] = [
  ['generic 1/1', [''], []],
  ['generic 2/1', [priority(1)], []],
  ['generic 2/2', [settings([4, 1]) + get, windowUpdate(1, 10)], ['HEADERS 1 200', 'DATA 1 1', 'DATA 1 4 end']],
  [
    'generic 2/3',
    [settings([4, 1]) + get, priority(1), windowUpdate(1, 10)],
    ['HEADERS 1 200', 'DATA 1 1', 'DATA 1 4 end'],
  ],
  ['generic 2/4', [settings([4, 1]) + get, rstStream(1)], ['HEADERS 1 200', 'DATA 1 1']],
  ['generic 2/5', [get, priority(1)], OK],
  ['generic 3.1/1', [post + data(1, 'x', END_STREAM)], OK],
  ['generic 3.1/2', [post + data(1, 'x') + data(1, 'y', END_STREAM)], OK],
  ['generic 3.1/3', [post + data(1, '\x03xyz\0\0\0', PADDED | END_STREAM)], OK],
  ['generic 3.2/1', [get], OK],
  ['generic 3.2/2', [frame(T.HEADERS, WHOLE | PADDED, 1, `\x02${FIELDS}\0\0`)], OK],
  ['generic 3.2/3', [frame(T.HEADERS, WHOLE | PRIORITY, 1, `${u32(0)}\xff${FIELDS}`)], OK],
  ['generic 3.3/1', [priority(1, 0, 0) + get], OK],
  ['generic 3.3/2', [priority(1, 0, 255) + get], OK],
  ['generic 3.3/3', [priority(1, 3) + get], OK],
  ['generic 3.3/4', [priority(1, 0x8000_0003) + get], OK],
  ['generic 3.3/5', [priority(7) + get], OK],
  ['generic 3.4/1', [post + rstStream(1)], []],
  ['generic 3.5/1', [settings()], []],
  ['generic 3.7/1', [ping('12345678')], ['PING ack 12345678']],
  ['generic 3.8/1', [goaway(0)], []],
  ['generic 3.9/1', [windowUpdate(0, 1)], []],
  ['generic 3.9/2', [post + windowUpdate(1, 1) + data(1, '', END_STREAM)], OK],
  ['generic 3.10/1', [open + more(block(['x', 'y']), END_HEADERS)], OK],
  ['generic 3.10/2', [open + more(block(['x', 'y'])) + more('') + more(block(['z', '']), END_HEADERS)], OK],
  ['generic 4/1', [get], OK],
  ['generic 4/2', [headers(1, [':method', 'HEAD', ...GET.slice(2)])], ['HEADERS 1 200 end']],
  ['generic 4/3', [post + data(1, 'test', END_STREAM)], OK],
  ['generic 4/4', [post + data(1, 'test') + headers(1, ['x-checksum', '1'])], OK],
  ['generic 5/1', [frame(T.HEADERS, WHOLE, 1, '\x82\x86\x84\x41\x01a')], OK],
  ['generic 5/2', [raw('\x7a\x01a')], OK],
  ['generic 5/3', [raw('\x7a\x81\x1f')], OK],
  ['generic 5/4', [raw('\x40\x01x\x01a')], OK],
  ['generic 5/5', [raw('\x40\x81\xf3\x81\x1f')], OK],
  ['generic 5/6', [raw('\x0f\x2b\x01a')], OK],
  ['generic 5/7', [raw('\x0f\x2b\x81\x1f')], OK],
  ['generic 5/8', [raw('\x00\x01x\x01a')], OK],
  ['generic 5/9', [raw('\x00\x81\xf3\x81\x1f')], OK],
  ['generic 5/10', [raw('\x1f\x2b\x01a')], OK],
  ['generic 5/11', [raw('\x1f\x2b\x81\x1f')], OK],
  ['generic 5/12', [raw('\x10\x01x\x01a')], OK],
  ['generic 5/13', [raw('\x10\x81\xf3\x81\x1f')], OK],
  ['generic 5/14', [frame(T.HEADERS, WHOLE, 1, `\x21${FIELDS}`)], OK],
  ['generic 5/15', [frame(T.HEADERS, WHOLE, 1, `\x20\x3f\x01${FIELDS}`)], OK],
];

const HPACK: readonly Requirement[] = [
  ['hpack 2.3.3/1', [raw('\xff\x00')], COMPRESSION],
  ['hpack 2.3.3/2', [raw('\x7f\x40\x01a')], COMPRESSION],
  ['hpack 4.2/1', [raw('\x21')], COMPRESSION],
  ['hpack 5.2/1', [raw('\x00\x01x\x82\x1f\xff')], COMPRESSION],
  ['hpack 5.2/2', [raw('\x00\x01x\x81\x18')], COMPRESSION],
  ['hpack 5.2/3', [raw('\x00\x01x\x84\xff\xff\xff\xff')], COMPRESSION],
  ['hpack 6.1/1', [raw('\x80')], COMPRESSION],
  ['hpack 6.3/1', [frame(T.HEADERS, WHOLE, 1, `\x3f\xe2\x1f${FIELDS}`)], COMPRESSION],
];

const FRAMES: readonly Requirement[] = [
  ['http2 3.5/1', [''], []],
  ['http2 4.1/1', [frame(0xff, 0, 0, '12345678')], []],
  ['http2 4.1/2', [frame(T.PING, 0x16, 0, '12345678')], ['PING ack 12345678']],
  ['http2 4.1/3', [frame(T.PING, 0, 0x8000_0000, '12345678')], ['PING ack 12345678']],
  ['http2 4.2/1', [post + data(1, 'x'.repeat(16_384), END_STREAM)], OK],
  ['http2 4.2/2', [post + data(1, 'x'.repeat(16_385))], goneAway('FRAME_SIZE_ERROR', 1)],
  ['http2 4.2/3', [headers(1, [...GET, 'x', 'y'.repeat(16_384)])], SIZE],
  ['http2 4.3/1', [frame(T.HEADERS, WHOLE, 1, '\x40\x01')], COMPRESSION],
  ['http2 4.3/2', [open + priority(1)], PROTOCOL],
  ['http2 4.3/3', [open + headers(3, GET)], PROTOCOL],
  ['http2 5.1/1', [data(1, 'x')], PROTOCOL],
  ['http2 5.1/2', [rstStream(1)], PROTOCOL],
  ['http2 5.1/3', [windowUpdate(1, 1)], PROTOCOL],
  ['http2 5.1/4', [more(FIELDS, END_HEADERS)], PROTOCOL],
  ['http2 5.1/5', [settings([4, 0]) + get + data(1, 'x')], ['HEADERS 1 200', ...STREAM_CLOSED]],
  ['http2 5.1/6', [settings([4, 0]) + get + get], ['HEADERS 1 200', ...STREAM_CLOSED]],
  ['http2 5.1/7', [settings([4, 0]) + get + more(FIELDS, END_HEADERS)], ['HEADERS 1 200', ...PROTOCOL_1]],
  ['http2 5.1/8', [post + rstStream(1) + data(1, 'x')], STREAM_CLOSED],
  ['http2 5.1/9', [post + rstStream(1) + get], goneAway('STREAM_CLOSED', 1)],
  ['http2 5.1/10', [post + rstStream(1) + more(FIELDS, END_HEADERS)], PROTOCOL_1],
  ['http2 5.1/11', [get, data(1, 'x')], [...OK, ...STREAM_CLOSED]],
  ['http2 5.1/12', [get, get], [...OK, ...goneAway('STREAM_CLOSED', 1)]],
  ['http2 5.1/13', [get, more(FIELDS, END_HEADERS)], [...OK, ...PROTOCOL_1]],
  ['http2 5.1.1/1', [headers(2, GET)], PROTOCOL],
  ['http2 5.1.1/2', [headers(5, GET), headers(3, GET)], [...answered(5), ...goneAway('PROTOCOL_ERROR', 5)]],
  ['http2 5.3.1/1', [frame(T.HEADERS, WHOLE | PRIORITY, 1, `${u32(1)}\x0f${FIELDS}`)], REFUSED],
  ['http2 5.3.1/2', [post + priority(1, 1)], REFUSED],
  ['http2 5.4.1/1', [frame(T.PING, 0, 3, '12345678')], PROTOCOL],
  ['http2 5.4.1/2', [frame(T.PING, 0, 0, '1')], SIZE],
  ['http2 5.5/1', [frame(0x16, 0, 0, 'x'.repeat(8))], []],
  ['http2 5.5/2', [open + frame(0x16, 0, 0, 'x')], PROTOCOL],
  ['http2 6.1/1', [data(0, 'x')], PROTOCOL],
  ['http2 6.1/2', [settings([4, 0]) + get + data(1, 'x', END_STREAM)], ['HEADERS 1 200', ...STREAM_CLOSED]],
  ['http2 6.1/3', [post + data(1, '\x06Test', PADDED)], PROTOCOL_1],
  ['http2 6.2/1', [open + priority(3)], PROTOCOL],
  ['http2 6.2/2', [open + frame(T.HEADERS, WHOLE, 3, FIELDS)], PROTOCOL],
  ['http2 6.2/3', [headers(0, GET)], PROTOCOL],
  ['http2 6.2/4', [frame(T.HEADERS, WHOLE | PADDED, 1, `\xff${FIELDS}`)], PROTOCOL],
  ['http2 6.3/1', [priority(0)], PROTOCOL],
  ['http2 6.3/2', [post + frame(T.PRIORITY, 0, 1, '\x80')], ['RST_STREAM 1 FRAME_SIZE_ERROR']],
  ['http2 6.4/1', [rstStream(0)], PROTOCOL],
  ['http2 6.4/2', [rstStream(7)], PROTOCOL],
  ['http2 6.4/3', [post + frame(T.RST_STREAM, 0, 1, '\0\0\0')], goneAway('FRAME_SIZE_ERROR', 1)],
];

const CONNECTION: readonly Requirement[] = [
  ['http2 6.5/1', [frame(T.SETTINGS, ACK, 0, '\0')], SIZE],
  ['http2 6.5/2', [frame(T.SETTINGS, 0, 1, '')], PROTOCOL],
  ['http2 6.5/3', [frame(T.SETTINGS, 0, 0, '\0\x03\0')], SIZE],
  ['http2 6.5.2/1', [settings([2, 2])], PROTOCOL],
  ['http2 6.5.2/2', [settings([4, 0x8000_0000])], goneAway('FLOW_CONTROL_ERROR')],
  ['http2 6.5.2/3', [settings([5, 16_383])], PROTOCOL],
  ['http2 6.5.2/4', [settings([5, 16_777_216])], PROTOCOL],
  ['http2 6.5.2/5', [settings([0xff, 1])], []],
  [
    'http2 6.5.3/1',
    [settings([4, 100], [4, 1]) + get, windowUpdate(1, 4)],
    ['HEADERS 1 200', 'DATA 1 1', 'DATA 1 4 end'],
  ],
  ['http2 6.5.3/2', [settings()], []],
  ['http2 6.7/1', [ping('abcdefgh')], ['PING ack abcdefgh']],
  ['http2 6.7/2', [frame(T.PING, ACK, 0, 'unasked.') + ping('abcdefgh')], ['PING ack abcdefgh']],
  ['http2 6.7/3', [frame(T.PING, 0, 1, '12345678')], PROTOCOL],
  ['http2 6.7/4', [frame(T.PING, 0, 0, '123456')], SIZE],
  ['http2 6.8/1', [frame(T.GOAWAY, 0, 1, u32(0) + u32(0))], PROTOCOL],
  ['http2 6.9/1', [windowUpdate(0, 0)], PROTOCOL],
  ['http2 6.9/2', [post + windowUpdate(1, 0)], REFUSED],
  ['http2 6.9/3', [frame(T.WINDOW_UPDATE, 0, 0, '\0\0\x01')], SIZE],
  ['http2 6.9.1/1', [settings([4, 1]) + get], ['HEADERS 1 200', 'DATA 1 1']],
  ['http2 6.9.1/2', [windowUpdate(0, 0x7fff_ffff)], goneAway('FLOW_CONTROL_ERROR')],
  ['http2 6.9.1/3', [post + windowUpdate(1, 0x7fff_ffff)], ['RST_STREAM 1 FLOW_CONTROL_ERROR']],
  ['http2 6.9.2/1', [settings([4, 0]) + get, settings([4, 1])], ['HEADERS 1 200', 'DATA 1 1']],
  [
    'http2 6.9.2/2',
    [settings([4, 3]) + get, settings([4, 2]), windowUpdate(1, 1), windowUpdate(1, 1)],
    ['HEADERS 1 200', 'DATA 1 3', 'DATA 1 1'],
  ],
  ['http2 6.9.2/3', [settings([4, 0xffff_ffff])], goneAway('FLOW_CONTROL_ERROR')],
  ['http2 6.10/1', [open + more(block(['x', 'y'])) + more(block(['x', 'y']), END_HEADERS)], OK],
  ['http2 6.10/2', [open + more(block(['x', 'y'])) + data(1, 'x')], PROTOCOL],
  ['http2 6.10/3', [open + more(block(['x', 'y']), END_HEADERS, 0)], PROTOCOL],
  ['http2 6.10/4', [get + more(block(['x', 'y']), END_HEADERS)], [...OK, ...PROTOCOL_1]],
  ['http2 6.10/5', [open + more('', END_HEADERS) + more('', END_HEADERS)], [...OK, ...PROTOCOL_1]],
  ['http2 6.10/6', [post + data(1, 'x') + more('', END_HEADERS)], PROTOCOL_1],
  ['http2 7/1', [goaway(0, 0xff)], []],
  ['http2 7/2', [post + rstStream(1, 0xff)], []],
];

const MESSAGES: readonly Requirement[] = [
  ['http2 8.1/1', [post + headers(1, ['x-test', 'ok'], END_HEADERS)], REFUSED],
  ['http2 8.1.2/1', [headers(1, [...GET, 'X-TEST', 'ok'])], REFUSED],
  ['http2 8.1.2.1/1', [headers(1, [...GET, ':test', 'ok'])], REFUSED],
  ['http2 8.1.2.1/2', [headers(1, [...GET, ':status', '200'])], REFUSED],
  ['http2 8.1.2.1/3', [post + headers(1, [':method', 'GET'])], REFUSED],
  ['http2 8.1.2.1/4', [headers(1, [...GET.slice(0, 6), 'x-test', 'ok', ':authority', 'a'])], REFUSED],
  ['http2 8.1.2.2/1', [headers(1, [...GET, 'connection', 'keep-alive'])], REFUSED],
  ['http2 8.1.2.2/2', [headers(1, [...GET, 'te', 'trailers, deflate'])], REFUSED],
  ['http2 8.1.2.3/1', [headers(1, [...without(':path'), ':path', ''])], REFUSED],
  ['http2 8.1.2.3/2', [headers(1, without(':method'))], REFUSED],
  ['http2 8.1.2.3/3', [headers(1, without(':scheme'))], REFUSED],
  ['http2 8.1.2.3/4', [headers(1, without(':path'))], REFUSED],
  ['http2 8.1.2.3/5', [headers(1, [':method', 'GET', ...GET])], REFUSED],
  ['http2 8.1.2.3/6', [headers(1, [':scheme', 'http', ...GET])], REFUSED],
  ['http2 8.1.2.3/7', [headers(1, [':path', '/', ...GET])], REFUSED],
  [
    'http2 8.1.2.6/1',
    [headers(1, [...POST, 'content-length', '1'], END_HEADERS) + data(1, 'test', END_STREAM)],
    REFUSED,
  ],
  [
    'http2 8.1.2.6/2',
    [headers(1, [...POST, 'content-length', '5'], END_HEADERS) + data(1, 'te') + data(1, 'st', END_STREAM)],
    REFUSED,
  ],
  ['http2 8.2/1', [frame(T.PUSH_PROMISE, END_HEADERS, 1, u32(2) + FIELDS)], PROTOCOL],
];

export const REQUIREMENTS: readonly Requirement[] = [...GENERIC, ...HPACK, ...FRAMES, ...CONNECTION, ...MESSAGES];

/** Tested apart, because they need another beginning or another server. */
export const ELSEWHERE: readonly string[] = ['http2 3.5/2', 'http2 5.1.2/1'];
