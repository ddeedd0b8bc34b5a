/**
 * Frames changed at random, for both roles without a socket: whatever comes, nothing throws, each request ends exactly once,
 * and how the bytes were cut changes nothing.
 */
import t from 'tap';
import { systemClock } from '../../../base/clock.ts';
import { TimerWheel } from '../../../base/timer-wheel.ts';
import { seededRandom } from '../../../base/random.ts';
import { H2ServerStream } from '../../../proxy/downstream/h2-stream.ts';
import { DEFAULT_ABUSE_LIMITS } from '../../../proxy/http/h2/abuse.ts';
import type { ConnectionConfig, ConnectionOwner } from '../../../proxy/http/h2/connection-streams.ts';
import { H2Connection } from '../../../proxy/http/h2/connection.ts';
import { PREFACE } from '../../../proxy/http/h2/frames.ts';
import { RequestFields } from '../../../proxy/http/h2/request-fields.ts';
import { DEFAULT_LIMITS } from '../../../proxy/http/message.ts';
import { H2ClientStream } from '../../../proxy/upstream/h2-stream.ts';
import { Seen, whenWhole } from '../../support/h2-answering.ts';
import { Asked, requestHead, upload } from '../../support/h2-asking.ts';
import {
  data,
  END_HEADERS,
  END_STREAM,
  GET,
  goaway,
  headers,
  ping,
  POST,
  rstStream,
  settings,
  windowUpdate,
} from '../../support/h2-dialogue.ts';
import { REQUIREMENTS } from './requirements.ts';

const LIMITS = { limits: DEFAULT_LIMITS, abuse: DEFAULT_ABUSE_LIMITS, settings: [] };
const WINDOWS = { streamWindowBytes: 262_144, connectionWindowBytes: 1_048_576 };

class Page {
  writable = true;
  said = '';
  text(text: string): void {
    this.said += text;
  }
  bytes(chunk: Buffer, start: number, end: number): void {
    this.said += chunk.latin1Slice(start, end);
  }
  flushSoon(): void {}
}

class Owner implements ConnectionOwner {
  gone = 0;
  onPeerStream(_id: number, _fields: readonly string[], _endStream: boolean, _tooLarge: string | null): void {}
  onPeerSettings(): void {}
  onPong(): void {}
  onGoaway(_lastStreamId: number): void {}
  onStreamGone(): void {
    this.gone++;
  }
  onConnectionError(): void {}
  onAbuse(): void {}
}

function config(role: 'client' | 'server'): ConnectionConfig {
  return { role, ...LIMITS, ...WINDOWS };
}

/** What a server of ours says and sees, and whether it kept its house in order. */
function serve(text: string, cut: (left: number) => number): unknown {
  const page = new Page();
  const owner = new Owner();
  const seen: Seen[] = [];
  const fields = new RequestFields(DEFAULT_LIMITS, false);
  const wheel = new TimerWheel(systemClock);
  const connection = new H2Connection(config('server'), owner, page, 0);
  owner.onPeerStream = (id, list, endStream, tooLarge) => {
    const head = tooLarge === null ? fields.read(list, endStream) : { detail: '' };
    if ('detail' in head) connection.refuseStream(id, 1);
    else {
      new H2ServerStream(connection, wheel, id, WINDOWS.streamWindowBytes).start(head, endStream, (stream, head) => {
        const one = new Seen(stream, head);
        seen.push(one);
        if (seen.length % 5 === 0) stream.pauseRequest();
        whenWhole(one);
        return one;
      });
    }
  };
  feed(connection, text, cut);
  connection.abandon('over', 'connection');
  return [
    page.said,
    seen.map(({ head, body, reset, ended }) => [head.path, ended ? body : '', reset, ended]),
    connection.streams.size,
    owner.gone === seen.length,
  ];
}

function ask(text: string, cut: (left: number) => number): unknown {
  const page = new Page();
  const owner = new Owner();
  const connection = new H2Connection(config('client'), owner, page, 0);
  owner.onGoaway = (last) => connection.refuseAbove(last);
  const takeId = (): number => (connection.lastOwnId = connection.lastOwnId === 0 ? 1 : connection.lastOwnId + 2);
  const asked = Array.from({ length: 6 }, (_, i) => {
    const one = new Asked();
    const stream = new H2ClientStream(
      { connection, takeId, whenSettled: () => undefined, onStreamOver: () => undefined },
      one,
      false,
      WINDOWS.streamWindowBytes,
    );
    const head = i % 2 === 0 ? requestHead() : upload();
    stream.writeHead(head, head.body);
    if (i === 3) stream.writeData(Buffer.alloc(100_000), 0, 100_000);
    return one;
  });
  feed(connection, text, cut);
  connection.abandon('over', 'connection');
  const ends = asked.map((one) => one.events.filter((event) => /^(end|failed)/.test(event)).length);
  return [
    page.said,
    asked.map((one) => [one.events, one.events.includes('end') ? one.body : '']),
    ends.every((count) => count === 1),
    connection.streams.size,
    owner.gone,
  ];
}

function feed(connection: H2Connection, text: string, cut: (left: number) => number): void {
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length;) {
    const size = Math.min(cut(bytes.length - at), bytes.length - at);
    const chunk = Buffer.from(bytes.subarray(at, at + size));
    connection.execute(chunk, 0);
    chunk.fill(0xff);
    at += size;
  }
}

/** What breaks a rule, mostly. */
const BREACHES = REQUIREMENTS.flatMap(([, steps]) => steps).filter((step) => step.length > 0 && step.length < 2000);

const random = seededRandom(7);

function below(bound: number): number {
  return Math.floor(random() * bound);
}

/** One of `texts`. */
function any(...texts: readonly string[]): string {
  return texts[below(texts.length)]!;
}

/** A piece of a client's side; `opened` streams so far, of which it may open one more. */
function asks(opened: { count: number }): string {
  const id = 2 * below(Math.max(1, opened.count)) + 1;
  if (opened.count === 0 || random() < 0.4) {
    const next = 2 * opened.count++ + 1;
    return random() < 0.5 ? headers(next, GET) : headers(next, POST, END_HEADERS);
  }
  if (random() < 0.04) return any(...BREACHES);
  const content = any(data(id, 'abc'), data(id, 'x'.repeat(300)), data(id, '', END_STREAM), headers(id, ['x', 'y']));
  return random() < 0.3
    ? content
    : any(ping(), settings([4, below(100)]), windowUpdate(id, 9), windowUpdate(0, 9), rstStream(id));
}

/** A piece of a server's side, for six streams that are open. */
function answers(): string {
  const id = 2 * below(6) + 1;
  if (random() < 0.5) return random() < 0.7 ? headers(id, OK, END_HEADERS) : headers(id, OK);
  if (random() < 0.04) return any(data(2, 'x'), ...BREACHES);
  return any(
    ...[
      headers(id, [':status', '103'], END_HEADERS),
      headers(id, ['x', 'y']),
      data(id, 'abc'),
      data(id, '', END_STREAM),
    ],
    ...[
      rstStream(id, 7),
      windowUpdate(id, 70_000),
      windowUpdate(0, 100_000),
      goaway(id),
      ping(),
      settings([4, 10], [3, 0]),
    ],
  );
}

const OK = [':status', '200'];

t.test('random frames, whole and cut, end as they must', async (t) => {
  let ended = 0;
  for (let round = 0; round < 300; round++) {
    const isServer = round % 2 === 0;
    const opened = { count: 0 };
    let text = (isServer ? PREFACE : '') + settings();
    for (let i = below(20) + 1; i > 0; i--) {
      let part = isServer ? asks(opened) : answers();
      if (random() < 0.03) {
        const at = below(part.length);
        part = part.slice(0, at) + String.fromCharCode(below(256)) + part.slice(at + (random() < 0.7 ? 1 : 2));
      }
      text += part;
    }
    const play = isServer ? serve : ask;
    const whole = play(text, (left) => left) as unknown[];
    const cut = play(text, () => 1 + below(20));
    if (isServer ? whole[2] !== 0 || whole[3] !== true : whole[2] !== true || whole[3] !== 0)
      t.fail(`round ${round}: ${JSON.stringify(whole)}`);
    if (JSON.stringify(cut) !== JSON.stringify(whole)) t.same(cut, whole, `round ${round}: ${JSON.stringify(text)}`);
    if ((whole[0] as string).includes('\x07\0\0\0\0\0')) ended++;
  }
  t.ok(ended > 60 && ended < 240, `${ended} connections ended by an error`);
});
