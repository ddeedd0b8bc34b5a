/**
 * The ways in which one HTTP/2 peer has brought others down (reliability classes 2a to 2s), against our server on real sockets:
 * each ends with GOAWAY and a counted reason, or is answered, and never reaches the exchange as something else.
 */
import t from 'tap';
import { DEFAULT_H2_SERVER_TUNING, type H2ServerTuning } from '../../../proxy/downstream/h2-server.ts';
import { responseHead } from '../../../proxy/exchange/local-answer.ts';
import { HeaderList } from '../../../proxy/http/headers.ts';
import { DEFAULT_ABUSE_LIMITS } from '../../../proxy/http/h2/abuse.ts';
import { CHUNKED_BODY } from '../../../proxy/http/message.ts';
import { answer, answeringServer, type Seen, whenWhole } from '../../support/h2-answering.ts';
import {
  block,
  data,
  type Dialogue,
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  headers,
  openDialogue,
  PADDED,
  ping,
  POST,
  rstStream,
  settings,
  T,
  u32,
  windowUpdate,
} from '../../support/h2-dialogue.ts';

const RESPONSE = responseHead(200, new HeaderList(), CHUNKED_BODY);
const CALM = 'ENHANCE_YOUR_CALM';

/** Sends `piece(0)`, `piece(1)` ... on a connection of its own; what came of it. */
async function flood(
  pieces: number,
  piece: (i: number) => string,
  onRequest: (seen: Seen) => void = () => {},
  tuning: Partial<H2ServerTuning> = {},
): Promise<{ end: string | undefined; abuse: string[]; streams: number; alive: number }> {
  const server = await answeringServer(onRequest, tuning);
  const dialogue = await openDialogue(server.port);
  for (let i = 0; i < pieces && !dialogue.isClosed; i += 100) {
    let text = '';
    for (let j = i; j < i + 100; j++) text += piece(j);
    dialogue.send(text);
    await new Promise(setImmediate);
  }
  await dialogue.closed();
  const result = {
    end: dialogue
      .summary()
      .findLast((line) => line.startsWith('GOAWAY'))
      ?.split(' ')[2],
    abuse: server.abuse,
    streams: server.seen.length,
    alive: server.seen.filter((seen) => seen.reset === '').length,
  };
  server.close();
  dialogue.destroy();
  return result;
}

const id = (i: number): number => 2 * i + 1;
const post = (i: number): string => headers(id(i), POST, END_HEADERS);
const ended = (i: number): string => headers(id(i), GET);
const more = (text: string): string => frame(T.CONTINUATION, 0, 1, text);
/** A literal that enters the table as its newest entry. */
const entry = (name: string): string => `\x40${String.fromCharCode(name.length)}${name}\x7f\xa1\x1e${'v'.repeat(4000)}`;

t.test(
  'rapid reset, and resets that we are made to send, end the connection and every exchange (2a, 2b, 2g)',
  async (t) => {
    const kinds: Record<string, (i: number) => string> = {
      'rapid reset': (i) => ended(i) + rstStream(id(i)),
      'window update by 0': (i) => post(i) + windowUpdate(id(i), 0),
      'window overflow': (i) => post(i) + windowUpdate(id(i), 0x7fff_ffff),
      'short PRIORITY': (i) => post(i) + frame(T.PRIORITY, 0, id(i), 'x'),
      'depends on itself': (i) => post(i) + frame(T.PRIORITY, 0, id(i), `${u32(id(i))}\0`),
      'HEADERS after the end': (i) => ended(i) + ended(i),
      'DATA after the end': (i) => ended(i) + data(id(i), 'x'),
      'malformed heads': (i) => headers(id(i), ['x', 'y']),
    };
    for (const [what, piece] of Object.entries(kinds)) {
      const { end, abuse, streams, alive } = await flood(3000, piece);
      t.same([end, abuse, streams < 2000, alive], [CALM, ['resets'], true, 0], what);
    }
  },
);

t.test('a client that cancels often and finishes as often is no attacker', async (t) => {
  const server = await answeringServer((seen) => (seen.head.path === '/' ? whenWhole(seen) : undefined));
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  const stuck = [...GET.slice(0, 4), ':path', '/stuck', ':authority', 'a'];
  for (let i = 0; i < 3000; i += 2) {
    dialogue.send(headers(id(i), stuck) + rstStream(id(i)) + headers(id(i + 1), GET));
    if (i % 100 === 0) await dialogue.settled();
  }
  await dialogue.settled();
  t.same([dialogue.isClosed, server.abuse, server.seen.length], [false, [], 3000]);
});

t.test('header blocks without end, in frames or bytes, are cut off (2c)', async (t) => {
  const open = frame(T.HEADERS, END_STREAM, 1, block(GET));
  const field = block(['x', 'y'.repeat(16_300)]);
  t.same(await flood(100, (i) => (i === 0 ? open : more(''))), {
    end: CALM,
    abuse: ['continuation'],
    streams: 0,
    alive: 0,
  });
  t.same(await flood(100, (i) => (i === 0 ? frame(T.HEADERS, END_STREAM, 1, field) : more(field))), {
    end: CALM,
    abuse: ['header-block'],
    streams: 0,
    alive: 0,
  });
});

t.test('a list that grows in the decoder is answered with 431, and the connection lives on (2d)', async (t) => {
  const server = await answeringServer();
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  const references = '\xbe'.repeat(12_000);
  dialogue.send(frame(T.HEADERS, END_STREAM | END_HEADERS, 1, block(GET) + entry('bomb') + references));
  dialogue.send(frame(T.HEADERS, END_STREAM | END_HEADERS, 3, block(GET) + entry('cookie') + references));
  dialogue.send(headers(5, [...GET, ...Array.from({ length: 220 }, () => 'x')]));
  dialogue.send(headers(9, GET));
  await dialogue.settled();
  t.same(
    dialogue.summary().filter((line) => line.startsWith('HEADERS')),
    ['HEADERS 1 431', 'HEADERS 3 431', 'HEADERS 5 431', 'HEADERS 9 200'],
  );
  t.same([server.seen.length, server.refused.length], [1, 3]);
});

t.test('floods of small frames are cut off, each with its reason (2e, 2f)', async (t) => {
  const kinds: Record<string, (i: number) => string> = {
    settings: () => settings(),
    pings: () => ping(),
    priority: () => frame(T.PRIORITY, 0, 7, `${u32(0)}\0`),
    'empty-data': (i) => (i === 0 ? headers(1, POST, END_HEADERS) : '') + data(1, ''),
    'window-updates': () => windowUpdate(0, 1),
  };
  for (const [reason, piece] of Object.entries(kinds)) {
    const { end, abuse } = await flood(20_000, piece);
    t.same([end, abuse], [CALM, [reason]], reason);
  }
  const unknown = await flood(5000, () => frame(0x20, 0, 0));
  t.same([unknown.end, unknown.abuse], [CALM, ['priority']]);
  const large = await openDialogueOnce(settings(...Array.from({ length: 100 }, () => [3, 1] as const)));
  t.same(large, [`GOAWAY 0 ${CALM}`, 'closed']);
});

async function openDialogueOnce(text: string): Promise<string[]> {
  const server = await answeringServer();
  const dialogue = await openDialogue(server.port);
  dialogue.send(text);
  await dialogue.settled();
  server.close();
  return dialogue.summary();
}

t.test('answers pile up for a client that does not read, up to a bound (2e, 2g)', async (t) => {
  const patient = { burst: 1e9, perSecond: 1e9 };
  const kinds = {
    'outbound-control': () => ping().repeat(400),
    'outbound-heads': (i: number) => headers(id(i), GET),
  };
  for (const [reason, piece] of Object.entries(kinds)) {
    const server = await answeringServer(
      (seen) => answer(seen.stream, '', ['x', 'y'.repeat(8000), 'x', 'z'.repeat(8000)]),
      {
        abuse: { ...DEFAULT_ABUSE_LIMITS, pings: patient, maxQueuedHeadBytes: 1_000_000 },
      },
    );
    const dialogue = await openDialogue(server.port);
    dialogue.socket.pause();
    for (let i = 0; i < 10_000 && server.abuse.length === 0; i++) {
      dialogue.send(piece(i));
      await new Promise(setImmediate);
    }
    t.same(server.abuse, [reason]);
    server.close();
    dialogue.destroy();
  }
});

t.test('a window of 0 holds the exchange back, and time ends it (2h)', async (t) => {
  const body = Buffer.alloc(65_536, 'x');
  let written = 0;
  const server = await answeringServer(
    (seen) => {
      const { stream } = seen;
      stream.writeHead(RESPONSE, CHUNKED_BODY);
      const write = (): void => {
        for (let more = true; more;) {
          more = stream.writeData(body, 0, body.length);
          written += body.length;
        }
      };
      seen.onDrain = write;
      write();
    },
    {},
    { headTimeoutMs: 400, patience: { bodyIdleMs: 0, flushMs: 100 } },
  );
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  dialogue.send(settings([4, 0]));
  for (let i = 0; i < 100; i++) dialogue.send(headers(id(i), GET));
  await dialogue.settled();
  t.equal(written, 100 * body.length, 'one piece of each, and no more is asked for');
  const reset = await dialogue.frame(T.RST_STREAM, id(99));
  t.equal(reset.payload.readUInt32BE(0), 8);
  t.ok(server.seen.every((seen) => seen.reset !== '' && seen.drains === 0));
});

t.test('tiny and padded content is paid for like any other (2i)', async (t) => {
  const server = await answeringServer();
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  const tiny = data(1, 'x').repeat(30_000);
  const padded = data(1, `\xffy${'\0'.repeat(255)}`, PADDED).repeat(6000);
  dialogue.send(headers(1, POST, END_HEADERS) + tiny + padded + data(1, '', END_STREAM));
  await dialogue.frame(T.DATA, 1);
  const paid = (streamId: number): number =>
    dialogue.frames.reduce(
      (sum, f) => sum + (f.type === T.WINDOW_UPDATE && f.streamId === streamId ? f.payload.readUInt32BE(0) : 0),
      0,
    );
  const sent = 30_000 + 6000 * 257;
  const { streamWindowBytes, connectionWindowBytes } = DEFAULT_H2_SERVER_TUNING;
  t.equal(server.seen[0]!.bytes, 36_000);
  t.ok(paid(1) > sent - streamWindowBytes && paid(1) <= sent);
  t.ok(paid(0) - (connectionWindowBytes - 65_535) > sent - connectionWindowBytes);
});

t.test('content beyond the windows is refused (6.9.1)', async (t) => {
  const server = await answeringServer((seen) => seen.stream.pauseRequest());
  t.teardown(() => server.close());
  const stream = await openDialogue(server.port);
  stream.send(headers(1, POST, END_HEADERS) + data(1, 'x'.repeat(16_384)).repeat(17));
  await stream.settled();
  const connection = await openDialogue(server.port);
  const whole = data(1, 'x'.repeat(16_384)).repeat(16);
  for (let i = 0; i < 5; i++)
    connection.send(headers(id(i), POST, END_HEADERS) + whole.replaceAll('\0\0\0\x01x', `${u32(id(i))}x`));
  await connection.closed();
  t.same(
    [stream.summary(), connection.summary()],
    [['RST_STREAM 1 FLOW_CONTROL_ERROR'], ['GOAWAY 9 FLOW_CONTROL_ERROR', 'closed']],
  );
});

t.test('a head, a block or a preface that comes too slowly ends the connection', async (t) => {
  const server = await answeringServer(whenWhole, {}, { headTimeoutMs: 400 });
  t.teardown(() => server.close());
  const begin = headers(1, GET);
  const dialogues: Dialogue[] = [
    await openDialogue(server.port, ''),
    (await openDialogue(server.port)).send(begin.slice(0, 5)),
    (await openDialogue(server.port)).send(begin.slice(0, 15)),
    (await openDialogue(server.port)).send(frame(T.HEADERS, END_STREAM, 1, block(GET))),
  ];
  await Promise.all(dialogues.map((dialogue) => dialogue.closed()));
  t.same(
    dialogues.map((dialogue) => dialogue.summary()),
    [`GOAWAY 0 SETTINGS_TIMEOUT`, `GOAWAY 0 ${CALM}`, `GOAWAY 0 ${CALM}`, `GOAWAY 0 ${CALM}`].map((line) => [
      line,
      'closed',
    ]),
  );
});

t.test('an exchange that goes on after its stream was reset disturbs nobody (2s)', async (t) => {
  const server = await answeringServer();
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  dialogue.send(headers(1, POST, END_HEADERS) + data(1, 'abc'));
  await dialogue.settled();
  dialogue.send(rstStream(1));
  await dialogue.settled();
  const { stream } = server.seen[0]!;
  stream.resumeRequest();
  stream.writeInterim(RESPONSE);
  answer(stream, 'late');
  stream.reset();
  dialogue.send(headers(3, GET));
  await dialogue.settled();
  t.same(dialogue.summary(), ['HEADERS 3 200', 'DATA 3 5', 'DATA 3 0 end']);
  t.equal(server.seen[0]!.reset, 'the client reset the stream: CANCEL');
});
