/**
 * What our HPACK encoder writes, read by a decoder of others: Python's `hpack`, one connection a story, with the table sizes that it sets.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { HpackEncoder } from '../../proxy/http/h2/hpack/encoder.ts';
import { findTool } from '../support/tools.ts';

interface Case {
  readonly header_table_size?: number;
  readonly headers: Record<string, string>[];
}

/** One block as it goes to the decoder; `tableBytes` is what its side allows from here on. */
interface Block {
  readonly tableBytes: number | null;
  readonly wire: string;
}

const CORPUS = new URL('../corpora/hpack-test-case/', import.meta.url);
const wheel = findTool('hpack.whl');
const python = findTool('python3');
const skip =
  (wheel === null || python === null) && 'hpack or python3 is not here: npm run tools brings hpack where pip is';

/** Stories in, fields of each block out: `name, value, ...` in latin-1, so that every byte is compared. */
const DECODE = `
import json, sys
sys.path.insert(0, sys.argv[1])
import hpack
stories = []
for story in json.load(sys.stdin):
    decoder = hpack.Decoder(max_header_list_size=1 << 24)
    blocks = []
    for block in story:
        if block['tableBytes'] is not None:
            decoder.max_allowed_table_size = block['tableBytes']
        fields = decoder.decode(bytes.fromhex(block['wire']), raw=True)
        blocks.append([text.decode('latin-1') for field in fields for text in field])
    stories.append(blocks)
json.dump(stories, sys.stdout)
`;

const fieldsOf = ({ headers }: Case): string[] => headers.flatMap((header) => Object.entries(header)[0]!);

/** @param rounds the story is told so often on one connection: later rounds meet what earlier ones left in the table */
function encoded(cases: readonly Case[], rounds: number): Block[] {
  const encoder = new HpackEncoder();
  return Array.from({ length: rounds }, () => cases)
    .flat()
    .map((one) => {
      if (one.header_table_size !== undefined) encoder.setMaxTableBytes(one.header_table_size);
      const wire = Buffer.from(encoder.encode(fieldsOf(one)), 'latin1').toString('hex');
      return { tableBytes: one.header_table_size ?? null, wire };
    });
}

t.test('a decoder of others reads the fields that our encoder was given', { skip }, async (t) => {
  const paths = (readdirSync(CORPUS, { recursive: true }) as string[]).filter((path) => path.endsWith('.json'));
  const stories = paths.map(
    (path) => (JSON.parse(readFileSync(new URL(path, CORPUS), 'utf8')) as { cases: Case[] }).cases,
  );
  for (const rounds of [1, 40]) {
    const input = JSON.stringify(stories.map((cases) => encoded(cases, rounds)));
    const { stdout, stderr, status } = spawnSync(python ?? '', ['-c', DECODE, wheel ?? ''], {
      input,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    t.equal(status, 0, stderr.slice(-500));
    const decoded = JSON.parse(stdout) as string[][][];
    t.ok(decoded.flat().length >= 100, `${decoded.flat().length} blocks`);
    for (const [i, cases] of stories.entries()) {
      const told = Array.from({ length: rounds }, () => cases.map(fieldsOf)).flat();
      t.ok(JSON.stringify(decoded[i]) === JSON.stringify(told), `${paths[i]}, ${rounds} times`);
    }
  }
});
