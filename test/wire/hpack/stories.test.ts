/**
 * Whole connections: the stories of other encoders, our own encoder read back, and mutated blocks.
 * Each block is read in the state that those before it left, which is where an error of HPACK shows.
 */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { type Random, randomInt, seededRandom } from '#base/random.ts';
import { HpackDecoder, type HpackLimits } from '../../../proxy/http/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../../proxy/http/h2/hpack/encoder.ts';

interface Case {
  readonly wire: string;
  readonly header_table_size?: number;
  readonly headers: Record<string, string>[];
}

const WIDE: HpackLimits = { maxListBytes: 1 << 20, maxFields: 1000 };
const CORPUS = new URL('../../corpora/hpack-test-case/', import.meta.url);

const STORIES = (readdirSync(CORPUS, { recursive: true }) as string[])
  .filter((path) => path.endsWith('.json'))
  .map((path) => {
    const { cases } = JSON.parse(readFileSync(new URL(path, CORPUS), 'utf8')) as { cases: Case[] };
    return { path, cases };
  });

const fieldsOf = ({ headers }: Case): string[] => headers.flatMap((header) => Object.entries(header)[0]!);

function read(decoder: HpackDecoder, block: Buffer): unknown {
  const fields: string[] = [];
  return decoder.decode(block, 0, block.length, fields) ?? fields;
}

t.test('the stories of three other encoders decode to their fields', async (t) => {
  t.same(STORIES.length, 10);
  for (const { path, cases } of STORIES) {
    const decoder = new HpackDecoder(4096, WIDE);
    t.same(
      cases.map(({ wire }) => read(decoder, Buffer.from(wire, 'hex'))),
      cases.map(fieldsOf),
      path,
    );
  }
});

t.test('our encoder is read back over all stories, with the table sizes that they set', async (t) => {
  for (const { path, cases } of STORIES) {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096, WIDE);
    const readBack = cases.map((story) => {
      if (story.header_table_size !== undefined) encoder.setMaxTableBytes(story.header_table_size);
      return read(decoder, Buffer.from(encoder.encode(fieldsOf(story)), 'latin1'));
    });
    t.same(readBack, cases.map(fieldsOf), path);
  }
});

/** Names and values from a few, so that they repeat, with now and then one that never came before. */
function someFields(random: Random): string[] {
  const text = (most: number): string =>
    String.fromCharCode(...Array.from({ length: randomInt(random, most) }, () => randomInt(random, 256)));
  const names = [
    ':path',
    ':status',
    'cookie',
    'etag',
    'x-a',
    'x-b',
    'x-c',
    'traceparent',
    `x-${randomInt(random, 200)}`,
  ];
  return Array.from({ length: randomInt(random, 12) }, () => [
    names[randomInt(random, names.length)]!,
    randomInt(random, 4) === 0 ? text(randomInt(random, 20) === 0 ? 2000 : 30) : `value-${randomInt(random, 12)}`,
  ]).flat();
}

t.test('any fields are read back under any table sizes', async (t) => {
  const random = seededRandom(7541);
  for (let connection = 0; connection < 100; connection++) {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096, WIDE);
    const lists = Array.from({ length: 100 }, () => someFields(random));
    const readBack = lists.map((fields) => {
      for (let times = randomInt(random, 12) - 8; times > 0; times--) encoder.setMaxTableBytes(randomInt(random, 6000));
      return read(decoder, Buffer.from(encoder.encode(fields), 'latin1'));
    });
    if (JSON.stringify(readBack) !== JSON.stringify(lists)) t.same(readBack, lists, `connection ${connection}`);
  }
});

/** Changes, cuts or doubles a few bytes; sometimes nothing is left of the block but its length. */
function mutated(random: Random, block: Buffer): Buffer {
  if (randomInt(random, 5) === 0) return Buffer.from(block.map(() => randomInt(random, 256)));
  const bytes = [...block];
  for (let times = 1 + randomInt(random, 3); times > 0; times--) {
    const at = randomInt(random, bytes.length + 1);
    const fresh = [0xff, 0x80, 0x7f, 0x3f, 0x20, 0x00, randomInt(random, 256)][randomInt(random, 7)]!;
    bytes.splice(at, randomInt(random, 3), ...Array.from({ length: randomInt(random, 3) }, () => fresh));
  }
  return Buffer.from(bytes);
}

t.test('a mutated block never throws, and never yields more than the limits allow', async (t) => {
  const random = seededRandom(9113);
  const limits: HpackLimits = { maxListBytes: 500, maxFields: 8 };
  const blocks = STORIES.flatMap(({ cases }) => cases.map(({ wire }) => Buffer.from(wire, 'hex')));
  const outcomes = new Set<string>();
  let decoder = new HpackDecoder(4096, limits);
  for (let times = 0; times < 20_000; times++) {
    const block = mutated(random, blocks[randomInt(random, blocks.length)]!);
    const fields: string[] = [];
    const failure = decoder.decode(block, 0, block.length, fields);
    const bytes = fields.join('').length + 16 * fields.length;
    if (bytes > limits.maxListBytes || fields.length > 2 * limits.maxFields) t.fail(`block ${block.toString('hex')}`);
    outcomes.add(failure === null ? 'read' : failure.kind);
    if (failure?.kind === 'compression') decoder = new HpackDecoder(4096, limits);
  }
  t.same([...outcomes].sort(), ['compression', 'list-too-large', 'read']);
});
