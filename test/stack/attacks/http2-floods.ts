/**
 * HTTP/2 that costs more than it asks for (reliability 1.2, 2a to 2j), as bytes. Data only.
 */
import {
  block,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  headers,
  ping,
  POST,
  rstStream,
  settings,
  T,
  u32,
  windowUpdate,
} from '../../support/h2-dialogue.ts';

export interface Flood {
  readonly name: string;
  readonly bytes: () => string;
  /** The attacker reads what comes. */
  readonly reads?: false;
  /** The attacker goes away by itself; else the sidecar must end the connection. */
  readonly leaves?: true;
}

export function getFields(path: string): string[] {
  return [':method', 'GET', ':scheme', 'http', ':path', path, ':authority', 'web'];
}

const get = (stream: number, path = '/'): string => headers(stream, getFields(path));

/** `count` times what `make` gives for the next odd stream. */
function streams(count: number, make: (stream: number) => string): string {
  return Array.from({ length: count }, (_, i) => make(2 * i + 1)).join('');
}

/** A field of 4,000 bytes put into the table, or asked for again four thousand times. */
function bomb(isFirst: boolean): string {
  // 0x40: literal with incremental indexing; 7-bit length 3900 takes a prefix and two more bytes (RFC 7541 5.1).
  return isFirst ? `\x40\x01x\x7f\xbd\x1d${'v'.repeat(3900)}` : '\xbe'.repeat(4000);
}

const priorityOfItself = (stream: number): string => frame(T.PRIORITY, 0, stream, `${u32(stream)}\0`);
const post = (stream: number): string => headers(stream, POST, END_HEADERS);

/** What follows the preface and SETTINGS. */
export const FLOODS: readonly Flood[] = [
  { name: '2a: ten thousand streams reset at once', bytes: () => streams(10_000, (s) => get(s) + rstStream(s)) },
  ...Object.entries({
    'a window update by 0': (s: number) => post(s) + windowUpdate(s, 0),
    'a window that overflows': (s: number) => post(s) + windowUpdate(s, 0x7f_ff_ff_ff),
    'a PRIORITY that is too short': (s: number) => post(s) + frame(T.PRIORITY, 0, s, 'x'),
    'a dependence on itself': (s: number) => post(s) + priorityOfItself(s),
    'HEADERS behind the end': (s: number) => get(s) + get(s),
    'DATA behind the end': (s: number) => get(s) + data(s, 'x'),
  }).map(([what, piece]): Flood => ({
    name: `2b: ${what}, on thousands of streams`,
    bytes: () => streams(5000, piece),
  })),
  {
    name: '2c: a header block without end, in frames that are empty',
    bytes: () => frame(T.HEADERS, 0, 1, block(getFields('/'))) + frame(T.CONTINUATION, 0, 1).repeat(100_000),
  },
  {
    name: '2c: a header block without end, in frames that are full',
    bytes: () =>
      frame(T.HEADERS, 0, 1, block(getFields('/'))) +
      frame(T.CONTINUATION, 0, 1, block(['x', 'y'.repeat(16_000)])).repeat(200),
  },
  {
    name: '2d: one entry of the table, sixteen thousand times',
    bytes: () =>
      [0, 1, 2, 3]
        .map((i) => frame(T.HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, block(getFields('/')) + bomb(i === 0)))
        .join(''),
    leaves: true,
  },
  {
    name: '2d: a thousand crumbs of a cookie',
    bytes: () => streams(50, (s) => headers(s, [...getFields('/'), ...Array<string>(2000).fill('cookie')])),
    leaves: true,
  },
  {
    name: '2e: twenty thousand SETTINGS, and no answer read',
    bytes: () => settings().repeat(20_000),
    reads: false,
  },
  {
    name: '2e: SETTINGS of twenty-four hundred entries, again and again',
    bytes: () => settings(...Array.from({ length: 2400 }, () => [4, 65_535] as const)).repeat(50),
  },
  { name: '2f: twenty thousand PINGs, and no answer read', bytes: () => ping().repeat(20_000), reads: false },
  {
    name: '2f: a hundred thousand PRIORITY',
    bytes: () => frame(T.PRIORITY, 0, 1, `${u32(0)}\0`).repeat(100_000),
  },
  { name: '2f: a hundred thousand WINDOW_UPDATE', bytes: () => windowUpdate(0, 1).repeat(100_000) },
  { name: '2g: ten thousand requests that are none', bytes: () => streams(10_000, (s) => headers(s, ['Upper', 'x'])) },
  {
    name: '2h: a hundred answers of a megabyte, and a window of nothing',
    bytes: () => settings([4, 0]) + streams(100, (s) => get(s, '/large')),
    leaves: true,
  },
  {
    name: '2h: a hundred answers of a megabyte, and nothing read',
    bytes: () => settings([4, 0x7f_ff_ff_ff]) + windowUpdate(0, 0x7f_ff_00_00) + streams(100, (s) => get(s, '/large')),
    reads: false,
    leaves: true,
  },
  { name: '2i: a body of empty frames', bytes: () => post(1) + data(1, '').repeat(20_000) },
  {
    name: '2i: a body of one byte a frame, padded',
    bytes: () => post(1) + frame(T.DATA, 8, 1, `\xffx${'\0'.repeat(255)}`).repeat(2000),
    leaves: true,
  },
  { name: '2j: a window that overflows', bytes: () => windowUpdate(0, 0x7f_ff_ff_ff) },
];
