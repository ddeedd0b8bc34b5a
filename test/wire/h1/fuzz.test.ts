/**
 * Mutations of good messages from fixed seeds: the codec never throws, never reads past its input, and does not care how the bytes are cut;
 * and what it accepted means the same once more after it was written from the model.
 */
import t from 'tap';
import { randomInt, seededRandom, type Random } from '#base/random.ts';
import { HeaderList } from '../../../proxy/http/headers.ts';
import { writeRequestHead } from '../../../proxy/http/h1/writer.ts';
import { CHUNKED_BODY, NO_BODY } from '../../../proxy/http/message.ts';
import { type Outcome, readRequests, readResponses } from './recorder.ts';

const REQUESTS = [
  'GET /a?b=c HTTP/1.1\r\nHost: a.b:80\r\nX: y\r\nConnection: keep-alive, x\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhelloPUT /2 HTTP/1.0\r\n\r\n',
  'POST http://a/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: t\r\n\r\n5;a=b;c="d\\"e"\r\nhello\r\n0\r\nT: u\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: [::1]\r\nConnection: upgrade\r\nUpgrade: websocket\r\nTE: trailers\r\n\r\n',
];
const RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\n\r\nhello',
  'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: u\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP/1.0 200 OK\r\n\r\nbody',
  'HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00',
];
/** Pieces that have fooled parsers before. */
const SPICE = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  ' ',
  '\t',
  '\0',
  ':',
  ';',
  ',',
  '"',
  '0',
  '5',
  'a',
  '\x7f',
  '\x80',
  '\xff',
  '#',
  '@',
  'chunked',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b\r\n',
  '0\r\n\r\n',
];
const MUTATIONS = 20_000;

function mutated(random: Random, seed: string): string {
  let text = seed;
  for (let times = 1 + randomInt(random, 3); times > 0; times--) {
    const at = randomInt(random, text.length + 1);
    const until = Math.min(
      text.length,
      at + (randomInt(random, 3) === 0 ? randomInt(random, 12) : randomInt(random, 2)),
    );
    text =
      text.slice(0, at) +
      (randomInt(random, 4) === 0 ? '' : SPICE[randomInt(random, SPICE.length)]!) +
      text.slice(until);
  }
  return text;
}

function someCuts(random: Random, length: number): number[] {
  const cuts = Array.from({ length: 1 + randomInt(random, 4) }, () => randomInt(random, length + 1));
  return cuts.sort((a, b) => a - b);
}

/** Writes the first message from its model, reads that, and says what has changed. */
function rewritten(outcome: Outcome): string {
  const message = outcome.messages[0]!;
  const [scheme, authority, version, body] = message.model.split(' ') as [string, string, string, string];
  const [method, path] = [
    message.start.slice(0, message.start.indexOf(' ')),
    message.start.slice(message.start.indexOf(' ') + 1),
  ];
  if (authority === '' || method === 'CONNECT') return '';
  const text = writeRequestHead(
    { method, path, authority, headers: new HeaderList(message.fields), upgrade: '' },
    body === 'none' ? NO_BODY : CHUNKED_BODY,
    '',
  );
  const again = readRequests(Buffer.from(text, 'latin1')).messages[0];
  const same =
    again?.start === message.start &&
    again.fields.join('\n') === message.fields.join('\n') &&
    again.model.split(' ')[1] === authority;
  return same ? '' : `${scheme} ${version} ${JSON.stringify(text)}`;
}

function fuzz(
  seed: number,
  samples: readonly string[],
  read: (input: Buffer, cuts?: readonly number[]) => Outcome,
): { accepted: number; wrong: string[] } {
  const random = seededRandom(seed);
  const found = { accepted: 0, wrong: [] as string[] };
  for (let i = 0; i < MUTATIONS / 2; i++) {
    const text = mutated(random, samples[i % samples.length]!);
    const input = Buffer.from(text, 'latin1');
    const whole = read(input);
    const cut = read(input, someCuts(random, input.length));
    if (JSON.stringify(whole) !== JSON.stringify(cut)) found.wrong.push(`cut differently: ${JSON.stringify(text)}`);
    if (whole.failure === '' && whole.messages.length > 0) found.accepted++;
    if (read === readRequests && whole.messages.length > 0 && rewritten(whole) !== '')
      found.wrong.push(`written differently: ${rewritten(whole)}`);
  }
  return found;
}

t.test('mutated requests give the same events however they are cut, and survive being written', async (t) => {
  const { accepted, wrong } = fuzz(1, REQUESTS, readRequests);
  t.same(wrong.slice(0, 5), []);
  t.ok(accepted > 500, `the mutations must not all be refused: ${accepted} were read`);
});

t.test('mutated answers give the same events however they are cut', async (t) => {
  const { accepted, wrong } = fuzz(2, RESPONSES, (input, cuts) => readResponses(input, cuts, ['GET'], 'websocket'));
  t.same(wrong.slice(0, 5), []);
  t.ok(accepted > 500, `the mutations must not all be refused: ${accepted} were read`);
});
