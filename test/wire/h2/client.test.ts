/**
 * Our HTTP/2 client against servers that the test plays frame by frame: what it sends, what it makes of answers, right and wrong.
 */
import t from 'tap';
import { HeaderList } from '../../../proxy/http/headers.ts';
import { bodyOfLength, CHUNKED_BODY, EMPTY_BODY } from '../../../proxy/http/message.ts';
import { askingClient, type AskingClient, Asked, requestHead, upload } from '../../support/h2-asking.ts';
import {
  block,
  data,
  type Dialogue,
  dialogueServer,
  END_HEADERS,
  END_STREAM,
  frame,
  goaway,
  headers,
  ping,
  rstStream,
  settings,
  T,
  u32,
  windowUpdate,
} from '../../support/h2-dialogue.ts';

const OK = [':status', '200'];

/** One connection of ours, and the server's side of it. */
async function pair(
  t: { teardown(run: () => void): void },
  first = settings(),
  tuning: Parameters<typeof askingClient>[1] = {},
): Promise<{ ours: AskingClient; theirs: Dialogue }> {
  const accepted = Promise.withResolvers<Dialogue>();
  const server = await dialogueServer((dialogue) => accepted.resolve(dialogue), first);
  const ours = await askingClient(server.port, tuning);
  const theirs = await accepted.promise;
  t.teardown(() => {
    ours.client.destroy();
    server.close();
  });
  if (first !== '') await theirs.settled();
  return { ours, theirs };
}

t.test('a request is sent from the model, with as few frames as it needs', async (t) => {
  const { ours, theirs } = await pair(t);
  ours.ask(requestHead('GET', '/x?y', ['te', 'trailers', 'x', 'y']));
  const empty = ours.ask(requestHead('POST', '/', [], EMPTY_BODY));
  empty.stream!.end(null);
  const sized = ours.ask(requestHead('PUT', '/', [], bodyOfLength(3)));
  sized.stream!.writeData(Buffer.from('xabcx'), 1, 4);
  sized.stream!.end(null);
  const chunked = ours.ask(upload());
  chunked.stream!.writeData(Buffer.from('de'), 0, 2);
  chunked.stream!.end(new HeaderList(['x-sum', '1']));
  await theirs.settled();
  t.same(theirs.summary(), [
    'HEADERS 1 :method GET :scheme http :path /x?y :authority a te trailers x y end',
    'HEADERS 3 :method POST :scheme http :path / :authority a content-length 0 end',
    'HEADERS 5 :method PUT :scheme http :path / :authority a content-length 3',
    'DATA 5 3',
    'DATA 5 0 end',
    'HEADERS 7 :method POST :scheme http :path / :authority a',
    'DATA 7 2',
    'HEADERS 7 x-sum 1 end',
  ]);
});

t.test('answers are told as they are, interim ones and trailers too', async (t) => {
  const { ours, theirs } = await pair(t);
  const asked = [ours.ask(), ours.ask(), ours.ask(requestHead('HEAD')), ours.ask(upload()), ours.ask()];
  await theirs.settled();
  theirs.send(
    headers(9, [':status', '103', 'link', 'x'], END_HEADERS) + headers(9, [...OK, 'content-length', '2'], END_HEADERS),
    headers(1, OK, END_HEADERS) + data(1, 'ab') + data(9, 'xy', END_STREAM) + data(1, 'c'),
    headers(1, ['grpc-status', '0', 'content-length', '9', 'host', 'x']),
    headers(3, [':status', '204', 'x', 'y']) + headers(5, [...OK, 'content-length', '70']),
    headers(7, [':status', '413', 'content-length', '0']) + rstStream(7, 0),
  );
  t.same(await Promise.all(asked.map((one) => one.over())), [
    ['head 200 chunked', 'end grpc-status 0'],
    ['head 204 none', 'end'],
    ['head 200 none', 'end'],
    ['head 413 length', 'end'],
    ['interim 103', 'head 200 length', 'end'],
  ]);
  await theirs.settled();
  t.same(
    [asked[0]!.body, asked[4]!.body, asked[2]!.head!.declaredLength, asked[2]!.head!.version],
    ['abc', 'xy', 70, 20],
  );
  t.same(theirs.summary().slice(-1), ['RST_STREAM 7 CANCEL'], 'what is left of an upload is not wanted any more');
  t.same(
    [ours.client.active, ours.client.room, asked.map((one) => one.stream!.reused)],
    [0, 1000, [false, true, true, true, true]],
  );
});

t.test('an answer that breaks the rules fails its request alone', async (t) => {
  const { ours, theirs } = await pair(t);
  const wrong: Record<string, (id: number) => string> = {
    'no status': (id) => headers(id, ['x', 'y']),
    'status of two digits': (id) => headers(id, [':status', '20']),
    'status twice': (id) => headers(id, [...OK, ...OK]),
    101: (id) => headers(id, [':status', '101'], END_HEADERS),
    'interim that ends': (id) => headers(id, [':status', '100']),
    'upper case': (id) => headers(id, [...OK, 'X', 'y']),
    connection: (id) => headers(id, [...OK, 'connection', 'close']),
    'line feed': (id) => headers(id, [...OK, 'x', 'a\nb']),
    'two lengths': (id) => headers(id, [...OK, 'content-length', '1', 'content-length', '1'], END_HEADERS),
    'less than its length': (id) =>
      headers(id, [...OK, 'content-length', '3'], END_HEADERS) + data(id, 'ab', END_STREAM),
    'more than its length': (id) =>
      headers(id, [...OK, 'content-length', '1'], END_HEADERS) + data(id, 'ab', END_STREAM),
    'a body on 204': (id) => headers(id, [':status', '204'], END_HEADERS) + data(id, 'ab', END_STREAM),
    'content first': (id) => data(id, 'ab'),
    'an end first': (id) => data(id, '', END_STREAM),
    'trailers that do not end': (id) => headers(id, OK, END_HEADERS) + headers(id, ['x', 'y'], END_HEADERS),
    'too large': (id) => headers(id, [...OK, ...Array.from({ length: 300 }, () => 'x')]),
    '33 interims': (id) => headers(id, [':status', '102'], END_HEADERS).repeat(33),
  };
  const asked = Object.keys(wrong).map(() => ours.ask());
  const good = ours.ask();
  await theirs.settled();
  theirs.send(...Object.values(wrong).map((send, i) => send(2 * i + 1)), headers(2 * asked.length + 1, OK));
  await theirs.settled();
  t.same(
    Object.keys(wrong).map((what, i) => [what, asked[i]!.events.at(-1)!.split(' ').slice(0, 3).join(' ')]),
    Object.keys(wrong).map((what) => [
      what,
      what === 'too large' ? 'failed response-headers-too-large head:' : 'failed upstream-protocol-error head:',
    ]),
  );
  t.same(await good.over(), ['head 200 none', 'end']);
  t.same([ours.client.active, theirs.isClosed], [0, false]);
});

t.test('what the server did not look at is unsent, what it cut off is not', async (t) => {
  const { ours, theirs } = await pair(t);
  const body = upload();
  const asked = [ours.ask(), ours.ask(body), ours.ask(), ours.ask(), ours.ask()];
  asked[1]!.stream!.writeData(Buffer.from('x'), 0, 1);
  await theirs.settled();
  theirs.send(rstStream(1, 7), rstStream(3, 2), headers(5, OK, END_HEADERS), goaway(7));
  await ours.until('closing');
  t.same(ours.ask().events, ['no room']);
  theirs.send(data(5, 'x', END_STREAM));
  await asked[2]!.over();
  theirs.socket.destroy();
  t.same(await Promise.all(asked.map((one) => one.over())), [
    ['failed refused-stream nothing: the peer reset the stream'],
    ['failed upstream-reset body: the server reset the stream: INTERNAL_ERROR'],
    ['head 200 chunked', 'end'],
    ['failed upstream-reset head: the server closed the connection'],
    ['failed refused-stream nothing: the peer went away before it saw the stream'],
  ]);
  await ours.until('gone');
});

t.test('GOAWAY between a stream and its head is no loss', async (t) => {
  const { ours, theirs } = await pair(t);
  const asked = ours.ask();
  const late = new Asked();
  const stream = ours.client.openStream(late)!;
  await theirs.settled();
  theirs.send(goaway(1), headers(1, OK, END_HEADERS));
  await ours.until('closing');
  stream.writeHead(upload(), CHUNKED_BODY);
  stream.writeData(Buffer.from('x'), 0, 1);
  t.same(await late.over(), ['failed refused-stream nothing: the connection takes no more streams']);
  theirs.send(data(1, '', END_STREAM));
  t.same(await asked.over(), ['head 200 chunked', 'end']);
  await theirs.closed();
  t.same(theirs.summary().slice(-2), ['GOAWAY 0 NO_ERROR', 'closed']);
});

t.test('the server says how many streams there may be, also none (2k)', async (t) => {
  const { ours, theirs } = await pair(t, settings([3, 1]));
  const first = ours.ask();
  t.same(ours.ask().events, ['no room']);
  await theirs.settled();
  theirs.send(settings([3, 0]) + headers(1, OK));
  await first.over();
  t.same([ours.client.room, ours.ask().events], [0, ['no room']]);
  ours.told.length = 0;
  theirs.send(settings([3, 2]));
  await ours.until('capacity');
  t.equal(ours.client.room, 2);
});

t.test('servers that break the connection end it, and nothing else (2j, 2k)', async (t) => {
  const breaches: Record<string, [string, string]> = {
    'not HTTP/2': ['HTTP/1.1 400 Bad Request\r\n\r\n', 'upstream-protocol-error FRAME_SIZE_ERROR'],
    push: [settings() + frame(T.PUSH_PROMISE, END_HEADERS, 1, u32(2) + block([])), 'upstream-reset PROTOCOL_ERROR'],
    'a stream of its own': [settings() + headers(2, OK), 'upstream-reset PROTOCOL_ERROR'],
    'a stream nobody opened': [settings() + headers(99, OK), 'upstream-reset PROTOCOL_ERROR'],
    'window overflow': [settings() + windowUpdate(0, 0x7fff_ffff), 'upstream-reset FLOW_CONTROL_ERROR'],
    'bad compression': [settings() + frame(T.HEADERS, END_HEADERS, 1, '\x80'), 'upstream-reset COMPRESSION_ERROR'],
    'pings without end': [settings() + ping().repeat(5000), 'upstream-reset ENHANCE_YOUR_CALM'],
  };
  for (const [what, [bytes, expected]] of Object.entries(breaches)) {
    const { ours, theirs } = await pair(t, '');
    const asked = ours.ask();
    await theirs.frame(T.HEADERS);
    theirs.send(bytes);
    const [kind, code] = expected.split(' ');
    const events = await asked.over();
    await theirs.closed();
    t.match([events, theirs.summary().slice(-2)], [[`failed ${kind} head: `], [code, 'closed']], what);
    theirs.socket.destroy();
    await ours.until('gone');
  }
});

t.test('uploads wait for the windows, downloads for the reader', async (t) => {
  const { ours, theirs } = await pair(t, settings([4, 100_000]));
  const asked = ours.ask(upload());
  const stream = asked.stream!;
  const piece = Buffer.alloc(50_000, 'x');
  t.same([stream.writeData(piece, 0, 50_000), stream.writeData(piece, 0, 50_000)], [true, false]);
  stream.end(new HeaderList(['x-sum', '1']));
  await theirs.settled();
  t.equal(theirs.contentBytes(1), 65_535, 'the connection window');
  theirs.send(windowUpdate(0, 1_000_000));
  await theirs.frame(T.DATA);
  await theirs.find((frames) => frames.find((f) => f.type === T.HEADERS && f.fields[0] === 'x-sum'));
  t.equal(theirs.contentBytes(1), 100_000);

  stream.pauseResponse();
  const frames = data(1, 'y'.repeat(16_384)).repeat(16);
  theirs.send(headers(1, OK, END_HEADERS) + frames);
  await theirs.settled();
  const updates = (): number => theirs.frames.filter((f) => f.type === T.WINDOW_UPDATE && f.streamId === 1).length;
  t.same([asked.bytes, updates()], [262_144, 0], 'the window, and not a byte of it is paid back');
  stream.resumeResponse();
  await theirs.settled();
  t.same([updates(), theirs.isClosed], [1, false]);
  theirs.send(frames + data(1, '', END_STREAM));
  await asked.over();
  t.equal(asked.bytes, 524_288);
});

t.test('giving a request up tells the server once, and the rest is paid for', async (t) => {
  const { ours, theirs } = await pair(t);
  const asked = ours.ask();
  await theirs.settled();
  asked.stream!.pauseResponse();
  theirs.send(headers(1, OK, END_HEADERS) + data(1, 'x'.repeat(16_384)).repeat(16));
  await theirs.settled();
  asked.stream!.reset();
  asked.stream!.reset();
  theirs.send(data(1, 'x'.repeat(16_384)).repeat(2), headers(1, ['late', 'x']));
  await theirs.settled();
  const paid = theirs.frames.reduce(
    (sum, f) => sum + (f.type === T.WINDOW_UPDATE && f.streamId === 0 ? f.payload.readUInt32BE(0) : 0),
    0,
  );
  t.same(theirs.summary().slice(1), ['RST_STREAM 1 CANCEL']);
  t.equal(asked.events.length, 1);
  t.ok(paid >= 1_048_576 - 65_535);
});

t.test('silence is asked about, and ends the connection (PING)', async (t) => {
  const { ours, theirs } = await pair(t, settings(), { keepAliveIntervalMs: 40, keepAliveTimeoutMs: 400 });
  const asked = ours.ask();
  const question = await theirs.find((frames) => frames.find((f) => f.type === T.PING && (f.flags & 1) === 0));
  theirs.send(frame(T.PING, 1, 0, question.payload.latin1Slice()));
  t.same(await asked.over(), ['failed upstream-reset head: no answer to PING']);
  t.ok(theirs.frames.filter((f) => f.type === T.PING && (f.flags & 1) === 0).length >= 2);
  await ours.until('gone');
});

t.test('an idle connection says goodbye, and one that cannot be opened says why', async (t) => {
  const server = await dialogueServer(() => undefined);
  const ours = await askingClient(server.port, {}, 50);
  await ours.until('gone');
  t.same(ours.told.slice(-2), ['closing', 'gone']);
  t.same(server.dialogues[0]!.summary(), ['GOAWAY 0 NO_ERROR', 'closed']);
  server.close();
  const none = await askingClient(server.port);
  t.same(none.told, ['gone connect-failure']);
});
