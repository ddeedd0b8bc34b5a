/**
 * The classes of HTTP/1.1 framing and smuggling (reliability 1.1, by their numbers), at both listeners of a running sidecar: what is refused
 * is answered and closed, and not a byte of it reaches the application.
 */
import t, { type Test } from 'tap';
import { CHUNKED, REFUSED_CHUNKS, REFUSED_HEADS } from '../../wire/h1/vectors.ts';
import { tellStories } from './http1-stories.ts';
import { besiege, type Door, type Siege } from './rig.ts';

const MIB = 1_048_576;
const STATUS: Readonly<Record<string, string>> = {
  'bad-request': '400',
  'unsupported-encoding': '501',
  'unsupported-version': '505',
  'unsupported-expectation': '417',
  'headers-too-large': '431',
  'uri-too-long': '414',
};

/** One answer, that says it is the last. */
function isRefused(text: string, kind: string): boolean {
  const [head = '', ...more] = text.split('\r\n\r\n');
  const isAlone = !/HTTP\/1\.1 \d{3} /.test(more.join(''));
  return head.startsWith(`HTTP/1.1 ${STATUS[kind]} `) && /\r\nconnection: close/i.test(head) && isAlone;
}

const TOO_LARGE: readonly [name: string, kind: string, bytes: string][] = [
  ['a head of a megabyte', 'headers-too-large', `GET / HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(MIB)}\r\n\r\n`],
  ['ten thousand fields', 'headers-too-large', `GET / HTTP/1.1\r\nHost: a\r\n${'x: y\r\n'.repeat(10_000)}\r\n`],
  ['a target of a megabyte', 'uri-too-long', `GET /${'y'.repeat(MIB)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['no HTTP at all', 'uri-too-long', '\xff'.repeat(MIB)],
];

async function refusedHeads(t: Test, siege: Siege, door: Door): Promise<void> {
  for (const [name, [kind, ...inputs]] of Object.entries(REFUSED_HEADS)) {
    for (const input of inputs) {
      // HTTP/2 with its preface is a protocol of its own here, and an ended one.
      if (input.startsWith('PRI *')) continue;
      const smuggled = `${input}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`;
      const text = await siege.strike(door, smuggled);
      const seen = await siege.seenBefore(door);
      if (!isRefused(text, kind) || seen !== '') {
        t.same({ text: text.slice(0, 300), seen }, { text: kind, seen: '' }, `${name}: ${JSON.stringify(input)}`);
      }
    }
    t.pass(`${door.name}: ${name}`);
  }
}

t.setTimeout(300_000);

t.test('HTTP/1.1 attacks on a running sidecar', async (t) => {
  const siege = await besiege(t, { podAddress: '127.0.0.61' });
  for (const door of siege.doors) {
    await t.test(`heads that are refused: ${door.name}`, async (t) => {
      await refusedHeads(t, siege, door);
      for (const [name, kind, bytes] of TOO_LARGE) {
        const text = await siege.strike(door, bytes);
        t.ok(isRefused(text, kind), `${name}: ${text.slice(0, 60)}`);
        t.equal(await siege.seenBefore(door), '', name);
      }
      t.same(siege.harm(), []);
    });
    await t.test(`H13 H14 H15 H16: bodies that are refused never end: ${door.name}`, async (t) => {
      for (const chunks of REFUSED_CHUNKS) {
        const text = await siege.strike(door, CHUNKED + chunks);
        const seen = await siege.seenBefore(door);
        if (!isRefused(text, 'bad-request') || seen.includes('0\r\n\r\n') || !/^$|^POST \/ /.test(seen)) {
          t.same({ text, seen }, {}, JSON.stringify(chunks));
        }
      }
      t.same(siege.harm(), []);
    });
  }
  for (const door of siege.doors) await tellStories(t, siege, door);
  await siege.lift(t);
});
