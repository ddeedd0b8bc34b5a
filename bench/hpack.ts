/**
 * Microseconds to decode and to encode one header block of twelve fields on a warm connection: `node bench/hpack.ts`.
 * Prints the fastest of many short batches, which a busy machine disturbs least. No sockets: what is left is ours.
 */
import { HpackDecoder } from '../proxy/http/h2/hpack/decoder.ts';
import { HpackEncoder } from '../proxy/http/h2/hpack/encoder.ts';
import { huffmanEncode } from '../proxy/http/h2/hpack/huffman.ts';

/** Blocks of the input, all different: path, trace and request id change with every request, as in life. */
const BLOCKS = 1000;
const BATCHES = 150;

function hex(digits: number, of: number): string {
  return (Math.imul(of + 1, 0x9e3779b1) >>> 0).toString(16).padStart(digits, '0');
}

function request(i: number): string[] {
  return [
    ...[':method', 'GET', ':scheme', 'http', ':authority', 'users.shop.svc.cluster.local:8080'],
    ...[':path', `/api/v1/users/${i}?full=true`],
    ...[
      'user-agent',
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
      'accept',
      'application/json, text/plain, */*',
    ],
    ...['accept-encoding', 'gzip, deflate, br', 'accept-language', 'en-US,en;q=0.9', 'x-forwarded-proto', 'http'],
    ...['x-request-id', `${hex(8, i)}-1c3b-4f7a-9a57-1f0a8d8d6c11`],
    ...['traceparent', `00-${hex(32, i)}-${hex(16, ~i)}-01`, 'x-tenant', 'acme'],
  ];
}

function response(i: number): string[] {
  return [
    ...[':status', '200', 'content-type', 'application/json; charset=utf-8', 'content-length', String(1000 + i)],
    ...['date', 'Mon, 23 Nov 2026 13:00:00 GMT', 'server', 'tulle', 'cache-control', 'no-store'],
  ];
}

/** The same fields as an HTTP/1.1 head gives them: values are slices of its text. */
function sliced(fields: readonly string[]): string[] {
  const text = Buffer.from(fields.join('\n'), 'latin1').latin1Slice();
  let at = 0;
  return fields.map((field, i) => {
    at += field.length + 1;
    return i % 2 === 0 ? field : text.slice(at - field.length - 1, at - 1);
  });
}

/** As other encoders send it: the fields that change in Huffman code. */
function foreign(fields: readonly string[]): Buffer {
  const [path, id] = [fields[7]!, fields[19]!].map((text) => huffmanEncode(text)) as [string, string];
  const indexed = '\x82\x86\xbe\xbf\xc0\xc1\xc2\xc3\xc4\xc5';
  const literals = [
    `\x04${String.fromCharCode(0x80 | path.length)}${path}`,
    `\x0f\x30${String.fromCharCode(0x80 | id.length)}${id}`,
  ];
  return Buffer.from(indexed + literals.join(''), 'latin1');
}

function measure(what: string, bytes: number, run: (i: number) => void): void {
  let best = Infinity;
  for (let batch = 0; batch < BATCHES; batch++) {
    const before = performance.now();
    for (let i = 0; i < BLOCKS; i++) run(i);
    best = Math.min(best, (performance.now() - before) / BLOCKS);
  }
  console.log(`${what.padEnd(52)} ${(best * 1000).toFixed(2).padStart(6)} us ${bytes.toFixed(0).padStart(6)} bytes`);
}

function both(what: string, lists: string[][]): void {
  const encoder = new HpackEncoder();
  const blocks = lists.map((fields) => Buffer.from(encoder.encode(fields), 'latin1'));
  const decoder = new HpackDecoder(4096, { maxListBytes: 65_536, maxFields: 100 });
  let into: string[] = [];
  const out = Buffer.alloc(4096);
  const bytes = blocks.at(-1)!.length;
  for (const block of blocks) decoder.decode(block, 0, block.length, into);
  const warm = lists.map((fields) => Buffer.from(encoder.encode(fields), 'latin1'));
  measure(`decode ${what}`, bytes, (i) => decoder.decode(warm[i]!, 0, warm[i]!.length, (into = [])));
  measure(`encode ${what}`, bytes, (i) => out.latin1Write(encoder.encode(lists[i]!)));
  const copies = lists.map((fields) => sliced(fields));
  measure(`encode ${what}, from HTTP/1.1`, bytes, (i) => out.latin1Write(encoder.encode(copies[i]!)));
  if (into.length !== lists[0]!.length) throw new Error('not all fields were read');
}

const requests = Array.from({ length: BLOCKS }, (_, i) => request(i));
both('a request of 12 fields', requests);
both(
  'a response of 6 fields',
  Array.from({ length: BLOCKS }, (_, i) => response(i)),
);

const decoder = new HpackDecoder(4096, { maxListBytes: 65_536, maxFields: 100 });
const filler = Buffer.from(
  Array.from({ length: 8 }, (_, i) => `\x40\x04nam${i}\x0cvalue-${i}-abcd`.slice(0, 19)).join(''),
  'latin1',
);
if (decoder.decode(filler, 0, filler.length, []) !== null) throw new Error('not a block');
const foreigners = requests.map((fields) => foreign(fields));
measure('decode 12 fields, two of them in Huffman code', foreigners[0]!.length, (i) => {
  const block = foreigners[i]!;
  if (decoder.decode(block, 0, block.length, []) !== null) throw new Error('not a block');
});
