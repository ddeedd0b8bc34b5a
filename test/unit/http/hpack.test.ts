/** HPACK in single blocks: the examples of RFC 7541, what is refused, what bounds the work, and what the encoder puts into the table. */
import t from 'tap';
import { HpackDecoder, type HpackLimits } from '../../../proxy/http/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../../proxy/http/h2/hpack/encoder.ts';
import { huffmanDecode, huffmanEncode, huffmanLength, maxDecodedBytes } from '../../../proxy/http/h2/hpack/huffman.ts';
import { plainText } from '../../../proxy/http/h2/hpack/wire-text.ts';

const WIDE: HpackLimits = { maxListBytes: 65_536, maxFields: 1000 };

/** The fields of a block in hex, or why it is refused. */
function decoded(decoder: HpackDecoder, hex: string): string[] | string {
  const block = Buffer.from(`ff${hex.replaceAll(' ', '')}ff`, 'hex');
  const fields: string[] = [];
  const failure = decoder.decode(block, 1, block.length - 1, fields);
  return failure === null ? fields : `${failure.kind}: ${failure.detail}`;
}

/** The same of several blocks of one connection. */
function inTurn(maxTableBytes: number, blocks: string[]): (string[] | string)[] {
  const decoder = new HpackDecoder(maxTableBytes, WIDE);
  return blocks.map((block) => decoded(decoder, block));
}

const lastOf = (maxTableBytes: number, ...blocks: string[]): unknown => inTurn(maxTableBytes, blocks).at(-1);

const hexOf = (block: string): string => Buffer.from(block, 'latin1').toString('hex');

/** A literal that goes into the table, in hex. */
const kept = (name: string, value: string): string => hexOf(`\x40${plainText(name)}${plainText(value)}`);

const REQUESTS = [
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com', 'cache-control', 'no-cache'],
  [
    ':method',
    'GET',
    ':scheme',
    'https',
    ':path',
    '/index.html',
    ':authority',
    'www.example.com',
    'custom-key',
    'custom-value',
  ],
];
const LOCATION = 'https://www.example.com';
const RESPONSES = [
  [':status', '302', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:21 GMT', 'location', LOCATION],
  [':status', '307', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:21 GMT', 'location', LOCATION],
  [
    ...[':status', '200', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:22 GMT', 'location', LOCATION],
    ...['content-encoding', 'gzip', 'set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ],
];

t.test('the examples of RFC 7541 appendix C decode to their fields', async (t) => {
  t.same(
    {
      c2: [
        '400a637573746f6d2d6b65790d637573746f6d2d686561646572',
        '040c2f73616d706c652f70617468',
        '100870617373776f726406736563726574',
        '82',
      ].map((block) => decoded(new HpackDecoder(4096, WIDE), block)),
      c3: inTurn(4096, [
        '828684410f7777772e6578616d706c652e636f6d',
        '828684be58086e6f2d6361636865',
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
      ]),
      c4: inTurn(4096, [
        '828684418cf1e3c2e5f23a6ba0ab90f4ff',
        '828684be5886a8eb10649cbf',
        '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
      ]),
      c5: inTurn(256, [
        '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d',
        '4803333037c1c0bf',
        '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
      ]),
      c6: inTurn(256, [
        '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
        '4883640effc1c0bf',
        '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
      ]),
    },
    {
      c2: [
        ['custom-key', 'custom-header'],
        [':path', '/sample/path'],
        ['password', 'secret'],
        [':method', 'GET'],
      ],
      c3: REQUESTS,
      c4: REQUESTS,
      c5: RESPONSES,
      c6: RESPONSES,
    },
  );
});

t.test('every text comes back from its Huffman code', async (t) => {
  const all = String.fromCharCode(...Array.from({ length: 256 }, (_, byte) => byte));
  for (const text of ['', 'a', 'www.example.com', all, all.repeat(20), '\x0a'.repeat(9)]) {
    const code = Buffer.from(huffmanEncode(text), 'latin1');
    const target = Buffer.alloc(maxDecodedBytes(code.length));
    const length = huffmanDecode(code, 0, code.length, target);
    t.same([target.latin1Slice(0, length), code.length], [text, huffmanLength(text)]);
  }
});

t.test('a block that breaks the format is a compression error', async (t) => {
  const cases: [block: string, why: string][] = [
    ['80', 'index 0'],
    ['be', 'an index behind the table'],
    ['7f00 00', 'an index behind the table'],
    ['0f80 01 00', 'an index behind the table'],
    ['ff', 'a number that is cut off'],
    ['ff80', 'a number that is cut off'],
    ['ffff ffff ff7f', 'a number above 2^32'],
    ['ff80 8080 8080 8000', 'a number of too many bytes'],
    ['41', 'a field that is cut off'],
    ['40', 'a field that is cut off'],
    ['4001 61', 'a field that is cut off'],
    ['4102 61', 'a text longer than its block'],
    ['417f ffff ff0f', 'a text longer than its block'],
    ['0085 ffff ffff fc', 'a text with a wrong Huffman code'],
    ['4182 1fff', 'a text with a wrong Huffman code'],
    ['4181 18', 'a text with a wrong Huffman code'],
    ['4181 ff', 'a text with a wrong Huffman code'],
    ['8220', 'a table size behind a field'],
    ['3fe2 1f', 'a table size above the limit'],
    ['203f e21f', 'a table size above the limit'],
    ['3f', 'a number that is cut off'],
  ];
  t.same(
    cases.map(([block]) => decoded(new HpackDecoder(4096, WIDE), block)),
    cases.map(([, why]) => `compression: ${why}`),
  );
  t.same(
    ['4181 1f', '3f80 8080 8080 00'].map((block) => decoded(new HpackDecoder(4096, WIDE), block)),
    [[':authority', 'a'], []],
    'a padding of three ones and a number of six bytes are allowed',
  );
});

t.test('the table takes sizes up to the limit at the start of a block, and forgets what no longer fits', async (t) => {
  const [a, b] = [kept('a', 'x'.repeat(3000)), kept('b', 'y'.repeat(3000))];
  const size8192 = '3fe13f';
  t.same(
    [
      lastOf(1337, '3f9a0a 82'),
      lastOf(1337, '3f9b0a 82'),
      lastOf(4096, `${kept('a', 'b')} be`),
      lastOf(4096, kept('a', 'b'), '20 3fe11f be'),
      lastOf(8192, a, b, 'bf'),
      lastOf(8192, `${size8192}${a}`, b, 'bf'),
      lastOf(4096, kept('a', 'b'), kept('c', 'x'.repeat(5000)), 'be'),
    ],
    [
      [':method', 'GET'],
      'compression: a table size above the limit',
      ['a', 'b', 'a', 'b'],
      'compression: an index behind the table',
      'compression: an index behind the table',
      ['a', 'x'.repeat(3000)],
      'compression: an index behind the table',
    ],
  );
});

t.test('a list above its limits is refused alone: the table goes on as the peer has it', async (t) => {
  const decoder = new HpackDecoder(4096, { maxListBytes: 16_384, maxFields: 100 });
  const big = kept('bomb', 'x'.repeat(4000));
  const fields: string[] = [];
  const bomb = Buffer.from(`${big}${'be'.repeat(16_000)}${kept('after', 'it')}0001610162`, 'hex');
  t.same(decoder.decode(bomb, 0, bomb.length, fields)?.detail, 'more than 16384 bytes of fields');
  t.ok(fields.join('').length < 16_384, 'nothing was appended beyond the limit');
  t.same(
    [
      decoded(decoder, 'be'),
      decoded(decoder, 'a0'.repeat(101)),
      decoded(new HpackDecoder(4096, { maxListBytes: 3799, maxFields: 1000 }), 'a0'.repeat(100)),
      decoded(new HpackDecoder(4096, { maxListBytes: 3800, maxFields: 100 }), 'a0'.repeat(100)).length,
      decoded(decoder, `${'82'.repeat(101)}be80`),
    ],
    [
      ['after', 'it'],
      'list-too-large: more than 100 fields',
      'list-too-large: more than 3799 bytes of fields',
      200,
      'compression: index 0',
    ],
    'cookie crumbs count one by one; what breaks the format breaks it behind the limit, too',
  );
});

const unspaced = (hex: string): string => hex.replaceAll(' ', '');

const REQUEST = (id: number): string[] => [
  ...[':method', 'GET', ':scheme', 'http', ':authority', 'users:8080', ':path', `/users/${id}`, 'x-tenant', 'acme'],
  ...['x-request-id', `id-${id}`, 'authorization', 'Bearer secret', 'content-length', '0'],
];

t.test('what repeats becomes one byte; paths and ids stay out of the table, secrets are marked', async (t) => {
  const encoder = new HpackEncoder();
  const blocks = [1, 2, 3, 4].map((id) => hexOf(encoder.encode(REQUEST(id))));
  const secret = `1f08 0d ${Buffer.from('Bearer secret').toString('hex')}`;
  const [id, tenant, path, acme] = ['x-request-id', 'x-tenant', '/users/', 'acme'].map((text) =>
    Buffer.from(text).toString('hex'),
  );
  t.same(
    [blocks[0], blocks[2], blocks[3]],
    [
      unspaced(
        `82 86 010a${Buffer.from('users:8080').toString('hex')} 0408${path}31 0008${tenant}04${acme} 000c${id}0469642d31 ${secret} 0f0d0130`,
      ),
      unspaced(`82 86 c0 0408${path}33 bf 0f2f0469642d33 ${secret} 0f0d0130`),
      unspaced(`82 86 c0 0408${path}34 bf 0f2f0469642d34 ${secret} 0f0d0130`),
    ],
  );
});

t.test('the peer is told each table size that matters, the smallest first', async (t) => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096, WIDE);
  const sizes = [[65_536], [100], [0, 4096], [200, 50, 4096], [4096], [70_000, 0], [4096]];
  const starts = sizes.map((settings) => {
    for (const bytes of settings) encoder.setMaxTableBytes(bytes);
    const block = hexOf(encoder.encode(REQUEST(1)));
    t.same(decoded(decoder, block), REQUEST(1));
    return block.slice(0, block.indexOf('8286'));
  });
  t.same(starts, ['', '3f45', '203fe11f', '3f133fe11f', '', '20', '3fe11f']);
});

t.test('a flood of names and values that come once does not drive out what repeats', async (t) => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096, WIDE);
  const steady = ['x-tenant', 'acme', 'user-agent', 'load/1.0', ':authority', 'users:8080', 'x-request-id', 'the same'];
  let bytes = 0;
  for (let i = 0; i < 5000; i++) {
    const noise = [`x-${i % 700}`, `value-${i}`, 'etag', `"${i}"`, 'x-long', String(i).repeat(200)];
    decoded(decoder, hexOf(encoder.encode(noise)));
    const block = encoder.encode(steady);
    bytes += block.length;
    if (i % 100 === 0) t.same(decoded(decoder, hexOf(block)), steady);
    else decoded(decoder, hexOf(block));
  }
  t.ok(bytes / 5000 < 20, `${bytes / 5000} bytes a block, where 58 would be needed without a table`);
});

t.test('what goes into the table goes in Huffman code where that is shorter', async (t) => {
  const encoder = new HpackEncoder();
  const twice = (name: string, value: string): string => {
    encoder.encode([name, value]);
    return hexOf(encoder.encode([name, value]));
  };
  t.same(
    [twice(':authority', 'www.example.com'), twice('server', '\\^{}')],
    ['418cf1e3c2e5f23a6ba0ab90f4ff', '76045c5e7b7d'],
    'RFC 7541 C.4.1, and a text whose code is longer',
  );
});

/** How the only field of a block is represented. */
function representation(encoder: HpackEncoder, name: string, value: string): 'indexed' | 'inserted' | 'literal' {
  const first = encoder.encode([name, value]).charCodeAt(0);
  if (first >= 0x80) return 'indexed';
  return first >= 0x40 ? 'inserted' : 'literal';
}

t.test('a full table turns over slowly, and a name whose values never repeat is given up for a while', async (t) => {
  const crowded = new HpackEncoder();
  const cycle = (): string[] =>
    Array.from({ length: 100 }, (_, i) => representation(crowded, `x-${i}`, 'v'.repeat(50)));
  const inserted = [1, 2, 3].map(() => cycle().filter((it) => it === 'inserted').length);

  const unique = new HpackEncoder();
  const afterUnique = (values: number): string[] => {
    for (let i = 0; i < values; i++) unique.encode(['etag', `"${values}-${i}"`]);
    return [1, 2, 3].map(() => representation(unique, 'etag', `"same-${values}"`));
  };
  t.same(
    [inserted[0], inserted[1]! > 40, inserted[2]! <= 13, afterUnique(20), afterUnique(40), afterUnique(1000)],
    [
      0,
      true,
      true,
      ['literal', 'inserted', 'indexed'],
      ['literal', 'literal', 'literal'],
      ['literal', 'inserted', 'indexed'],
    ],
  );
});
