/**
 * Attacks of HTTP/1.1 that need more than one refused message: what an application answers, what two sides make of one connection. Test-only.
 */
import type { Test } from 'tap';
import { okResponse } from '../../support/raw-http.ts';
import { CHUNKED, REFUSED_ANSWERS } from '../../wire/h1/vectors.ts';
import { type Door, openDoor, type Siege, until } from './rig.ts';

type Story = (t: Test, siege: Siege, door: Door) => Promise<void>;

const HOST = 'Host: web\r\n';
const isOk = (text: string): boolean => text.endsWith('\r\n\r\nok');

function get(path: string, fields = ''): string {
  return `GET ${path} HTTP/1.1\r\n${HOST}${fields}\r\n`;
}

function statuses(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status = '']) => status);
}

/** Answers that an application may not give. */
function misbehave({ app }: Siege): void {
  const answers: Record<string, string> = {
    '/204': 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello',
    '/head': okResponse('hello'),
    '/hints': `${'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(5000)}${okResponse('late')}`,
    '/101': 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    '/426': 'HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n',
  };
  for (const [path, text] of Object.entries(answers)) app.behaviours.set(path, (socket) => socket.write(text));
  app.behaviours.set('/short', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello'));
  app.behaviours.set('/short-chunk', (socket) =>
    socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'),
  );
  app.behaviours.set('/answer', (socket, head) => {
    socket.end(REFUSED_ANSWERS[Number(/\?(\d+)/.exec(head)?.[1])] ?? '', 'latin1');
  });
}

export const STORIES: Readonly<Record<string, Story>> = {
  'H8: white space behind a value is no part of it': async (t, siege, door) => {
    await siege.ask(door, 'GET / HTTP/1.1\r\nHost: web \t \r\nX-A:  b \t\r\n\r\n', isOk);
    t.match(await siege.seenBefore(door), /\r\nhost: web\r\nx-a: b\r\n/i);
  },
  'H14: chunk extensions have a bound, and none is passed on': async (t, siege, door) => {
    for (const chunks of ['1;'.padEnd(1_048_576, 'x'), `1;${'a'.repeat(200)}\r\nx\r\n`.repeat(300)]) {
      t.same(statuses(await siege.strike(door, CHUNKED + chunks)), ['400']);
      const seen = await siege.seenBefore(door);
      t.same([seen.includes(';'), seen.endsWith('0\r\n\r\n')], [false, false]);
    }
    await siege.ask(door, `${CHUNKED}1;a=b\r\nx\r\n0;c\r\n\r\n`, isOk);
    t.match(await siege.seenBefore(door), /\r\n\r\n1\r\nx\r\n0\r\n\r\n$/);
  },
  'H16: trailers do not become fields, and share the limits of heads': async (t, siege, door) => {
    const bad = ['Content-Length: 9', 'Host: b', 'X-Forwarded-Client-Cert: By=me', 'Transfer-Encoding: gzip'];
    for (const trailer of bad) {
      const bytes = `${CHUNKED}1\r\nx\r\n0\r\n${trailer}\r\n\r\n${get('/last', 'Connection: close\r\n')}`;
      await siege.strike(door, bytes);
      t.notOk((await siege.seenBefore(door)).toLowerCase().includes(trailer.toLowerCase()), trailer);
    }
    const many = `x: ${'y'.repeat(500)}\r\n`.repeat(400);
    t.match(statuses(await siege.strike(door, `${CHUNKED}0\r\n${many}\r\n`)), [/400|431/]);
    t.notMatch(await siege.seenBefore(door), /0\r\n\r\n$/);
  },
  'H21: an answer that has no body gets none, and what follows it answers nobody': async (t, siege, door) => {
    t.notMatch(await siege.ask(door, get('/204'), (text) => text.endsWith('\r\n\r\n')), 'hello');
    await siege.seenBefore(door);
    const head = `HEAD /head HTTP/1.1\r\n${HOST}\r\n`;
    t.notMatch(await siege.ask(door, head, (text) => text.endsWith('\r\n\r\n')), 'hello');
    await siege.seenBefore(door);
  },
  'H22: interim answers are few, and 101 is asked for': async (t, siege, door) => {
    for (const path of ['/hints', '/101']) {
      const text = await siege.ask(door, get(path), (so) => /HTTP\/1\.1 [2-5]\d\d [^]*\r\n\r\n/.test(so));
      t.same([statuses(text).at(-1), statuses(text).length <= 33], ['502', true], path);
    }
    await siege.seenBefore(door);
  },
  'H23: who waits for 100 gets it, from whomever': async (t, siege, door) => {
    const wire = await openDoor(door);
    wire.write(`POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
    const sinceMs = Date.now();
    await wire.includes('HTTP/1.1 100 ');
    t.ok(Date.now() - sinceMs < 4000, 'within a second, on a machine that may be busy');
    wire.write('hello');
    await wire.until(isOk);
    wire.socket.destroy();
    t.match(await siege.seenBefore(door), /\r\n\r\nhello$/);
  },
  'H24: Connection takes away what it may': async (t, siege, door) => {
    await siege.ask(door, get('/', 'Connection: x-foo-bar\r\nX-Foo-Bar: 1\r\n'), isOk);
    t.notMatch((await siege.seenBefore(door)).toLowerCase(), 'x-foo-bar');
    for (const name of ['Host', 'Content-Length', 'X-Forwarded-Client-Cert', 'X-Request-Id']) {
      const bytes = `POST / HTTP/1.1\r\n${HOST}Connection: ${name}, close\r\nContent-Length: 1\r\n\r\nx`;
      const text = await siege.strike(door, bytes);
      const seen = (await siege.seenBefore(door)).toLowerCase();
      const isWhole = /\r\nhost: web\r\n/.test(seen) && seen.includes('content-length: 1\r\n');
      t.ok(statuses(text)[0] === '400' ? seen === '' : isWhole, `${name}: ${statuses(text).join()}`);
    }
  },
  'H25: without a 101 there is no tunnel': async (t, siege, door) => {
    const ask = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\n';
    for (const path of ['/426', '/']) {
      const both = get(path, `${ask}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n`) + get('/second');
      const text = await siege.ask(door, both, (so) => statuses(so).length === 2 && isOk(so));
      t.same(statuses(text), [path === '/' ? '200' : '426', '200']);
      // As a request of its own, with the fields that the sidecar gives to each.
      t.match(await siege.seenBefore(door), /GET \/second HTTP\/1\.1\r\n[^]*traceparent/);
    }
  },
  'H26: h2c does not get through': async (t, siege, door) => {
    const ask = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';
    await siege.ask(door, get('/', ask), isOk);
    t.notMatch((await siege.seenBefore(door)).toLowerCase(), /upgrade|http2-settings|h2c/);
  },
  'H27: an answer that is cut off does not look whole': async (t, siege, door) => {
    const length = await siege.strike(door, get('/short'));
    t.ok(length.length - length.indexOf('\r\n\r\n') < 50);
    t.notMatch(await siege.strike(door, get('/short-chunk')), '0\r\n\r\n');
    await siege.seenBefore(door);
  },
  'H28: answers that cannot be read are 502': async (t, siege, door) => {
    for (const [i, answer] of REFUSED_ANSWERS.entries()) {
      const text = await siege.ask(door, get(`/answer?${i}`), (so) => so.includes('\r\n\r\n'));
      if (statuses(text)[0] !== '502') t.equal(text, '502', JSON.stringify(answer));
    }
    t.pass(`${REFUSED_ANSWERS.length} answers`);
    await siege.seenBefore(door);
  },
  'H29: two thousand requests in a row, and no answer read': async (t, siege, door) => {
    const wire = await openDoor(door);
    wire.socket.pause();
    const before = siege.memoryMb();
    wire.write(get('/large').repeat(2000));
    // Until the application is asked no more: the sidecar reads no further.
    let last = -1;
    await until(() => {
      const isStill = siege.app.record.length === last && last > 0;
      last = siege.app.record.length;
      return isStill;
    }, 'it stands still');
    t.ok(siege.memoryMb() - before < 50, 'answers do not pile up');
    wire.socket.destroy();
    const asked = siege.app.record.split('GET /large').length - 1;
    t.ok(asked < 100, `${asked} of 2000 were asked`);
    await siege.seenBefore(door);
  },
  'H30: sixty thousand chunks of one byte': async (t, siege, door) => {
    await siege.ask(door, `${CHUNKED}${'1\r\nx\r\n'.repeat(60_000)}0\r\n\r\n`, isOk);
    t.equal((await siege.seenBefore(door)).split('\r\n\r\n', 2)[1]?.replaceAll(/[^x]/g, '').length, 60_000);
  },
};

/** All of them, through one door. */
export async function tellStories(t: Test, siege: Siege, door: Door): Promise<void> {
  misbehave(siege);
  for (const [name, story] of Object.entries(STORIES)) {
    await t.test(`${name}: ${door.name}`, async (t) => {
      await story(t, siege, door);
      t.same(siege.harm(), [], 'others are served');
    });
  }
}
