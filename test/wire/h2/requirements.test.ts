/**
 * What RFC 9113 and RFC 7541 demand of a server, requirement by requirement as h2spec counts them, over real sockets.
 */
import t from 'tap';
import { answeringServer } from '../../support/h2-answering.ts';
import { END_HEADERS, headers, openDialogue, POST, settings, T } from '../../support/h2-dialogue.ts';
import { ELSEWHERE, REQUIREMENTS, SECTIONS } from './requirements.ts';

t.test('a server does what each requirement of h2spec demands', async (t) => {
  const server = await answeringServer();
  t.teardown(() => server.close());
  const seen = await Promise.all(
    REQUIREMENTS.map(async ([id, steps]) => {
      const dialogue = await openDialogue(server.port);
      for (const step of steps) {
        dialogue.send(step);
        await dialogue.settled();
      }
      const summary = dialogue.summary();
      dialogue.destroy();
      return [id, summary];
    }),
  );
  t.same(
    seen,
    REQUIREMENTS.map(([id, , expected]) => [id, expected]),
  );
});

t.test('no requirement of h2spec is left out', async (t) => {
  const all = Object.entries(SECTIONS).flatMap(([section, tests]) =>
    Array.from({ length: tests }, (_, i) => `${section}/${i + 1}`),
  );
  t.equal(all.length, 147);
  t.same([...REQUIREMENTS.map(([id]) => id), ...ELSEWHERE].sort(), all.sort());
});

t.test(
  'the server says its SETTINGS first, and ends a connection that does not begin as HTTP/2 does (3.5)',
  async (t) => {
    const server = await answeringServer();
    t.teardown(() => server.close());
    const wrong = await openDialogue(server.port, 'INVALID CONNECTION PREFACE\r\n\r\n');
    const early = await openDialogue(server.port, `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${headers(1, POST)}`);
    const slow = await openDialogue(server.port, '');
    for (const byte of `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${settings()}`) {
      slow.send(byte);
      await new Promise(setImmediate);
    }
    await Promise.all([wrong.closed(), early.closed(), slow.settled()]);
    t.same(
      [wrong, early, slow].map((dialogue) => [dialogue.frames[0]?.type, dialogue.summary()]),
      [
        [T.SETTINGS, ['GOAWAY 0 PROTOCOL_ERROR', 'closed']],
        [T.SETTINGS, ['GOAWAY 0 PROTOCOL_ERROR', 'closed']],
        [T.SETTINGS, []],
      ],
    );
    slow.destroy();
  },
);

t.test('streams above SETTINGS_MAX_CONCURRENT_STREAMS are refused and can be tried again (5.1.2)', async (t) => {
  const server = await answeringServer(undefined, { maxConcurrentStreams: 2 });
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  dialogue.send(...[1, 3, 5].map((id) => headers(id, POST, END_HEADERS)));
  await dialogue.settled();
  t.same(dialogue.summary(), ['RST_STREAM 5 REFUSED_STREAM']);
  const told = await dialogue.frame(T.SETTINGS);
  t.match(told.payload.latin1Slice(), '\0\x03\0\0\0\x02');
});
