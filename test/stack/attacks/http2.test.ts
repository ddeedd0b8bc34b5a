/**
 * The classes of HTTP/2 (reliability 1.2, by their numbers), at both listeners of a running sidecar in front of an application of HTTP/1.1.
 */
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { PREFACE } from '../../../proxy/http/h2/frames.ts';
import {
  Dialogue,
  END_STREAM,
  goaway,
  headers,
  dialogueServer,
  rstStream,
  settings,
  T,
} from '../../support/h2-dialogue.ts';
import { serviceWithEndpoint } from '../../support/folder-mesh.ts';
import { freePort } from '../../support/ports.ts';
import { type Flood, FLOODS, getFields } from './http2-floods.ts';
import { CUT_SHORT, REFUSED } from './http2-refused.ts';
import { besiege, type Door, openDoor, type Siege, until } from './rig.ts';

const END_MS = 15_000;
/** After this a client that does not read looks: else it would not see the end. */
const LOOK_MS = 3000;
const LEAVE_MS = 1500;

async function talk(door: Door, first = PREFACE + settings()): Promise<Dialogue> {
  const wire = await openDoor(door);
  wire.socket.removeAllListeners('data');
  wire.socket.setNoDelay(true);
  return new Dialogue(wire.socket, false).send(first);
}

/** How the flood ended. */
async function flood(door: Door, { bytes, reads, leaves }: Flood): Promise<'ended' | 'left' | 'still open'> {
  const { socket } = await openDoor(door);
  const closed = once(socket, 'close').then(() => 'ended' as const);
  socket.on('end', () => socket.end());
  if (reads === false) socket.pause();
  socket.write(PREFACE + settings() + bytes(), 'latin1');
  const look = setTimeout(() => socket.resume(), LOOK_MS);
  const giveUp = new Promise<'left' | 'still open'>((resolve) => {
    if (leaves === true) setTimeout(() => resolve('left'), LEAVE_MS);
    else setTimeout(() => resolve('still open'), END_MS);
  });
  const outcome = await Promise.race([closed, giveUp]);
  clearTimeout(look);
  socket.destroy();
  return leaves === true ? 'left' : outcome;
}

async function refusals(t: Test, siege: Siege, door: Door): Promise<void> {
  for (const [name, cases] of Object.entries(REFUSED)) {
    for (const [what, frames] of cases) {
      const dialogue = await talk(door);
      dialogue.send(frames);
      await dialogue.settled();
      const said = dialogue.summary().join(', ');
      dialogue.destroy();
      const seen = await siege.seenBefore(door);
      const isRefused = /^(RST_STREAM 1 PROTOCOL_ERROR|HEADERS 1 4\d\d)/.test(said);
      if (!isRefused || seen !== '') t.same({ said, seen }, {}, `${name}: ${what}`);
    }
    t.pass(name);
  }
}

async function cutShort(t: Test, siege: Siege, door: Door): Promise<void> {
  for (const [name, frames] of Object.entries(CUT_SHORT)) {
    const dialogue = await talk(door);
    dialogue.send(frames);
    await dialogue.settled();
    t.match(dialogue.summary(), ['RST_STREAM 1 PROTOCOL_ERROR'], name);
    dialogue.destroy();
    const seen = await siege.seenBefore(door);
    const [head = '', body = ''] = seen.split('\r\n\r\n', 2);
    const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? Number.POSITIVE_INFINITY);
    t.ok(
      seen === '' || (body.length < length && !seen.includes('0\r\n\r\n') && !seen.includes('smuggled')),
      `${name}: ${JSON.stringify(seen)}`,
    );
  }
}

/** One good request; its answer, or how the stream ended. */
async function asked(door: Door, fields: readonly string[]): Promise<string> {
  const dialogue = await talk(door);
  dialogue.send(headers(1, fields));
  const last = await dialogue.find((frames) => frames.find((f) => f.streamId === 1 && (f.flags & END_STREAM) !== 0));
  const final = dialogue.frames.find((f) => f.type === T.HEADERS && !f.fields[1]?.startsWith('1'));
  dialogue.destroy();
  return final?.fields[1] ?? `frame ${last.type}`;
}

t.setTimeout(400_000);

/** The other reasons are held by test/wire/h2/attacks.test.ts: these floods are ended for another one before. */
const REASONS = ['continuation', 'empty-data', 'outbound-control', 'priority', 'resets', 'settings', 'window-updates'];

t.test('HTTP/2 attacks on a running sidecar', async (t) => {
  const upstream = await dialogueServer((dialogue) => {
    dialogue.socket.on('data', () => misbehave(dialogue));
  });
  t.teardown(() => upstream.close());
  const upPort = await freePort();
  const up = { yaml: serviceWithEndpoint('up', 80, 'kubernetes.io/h2c', upstream.port), port: upPort };
  const siege = await besiege(t, { podAddress: '127.0.0.62', services: { up } });
  for (const door of siege.doors) {
    await t.test(`2l to 2q: what is refused reaches nobody: ${door.name}`, async (t) => {
      await refusals(t, siege, door);
      await cutShort(t, siege, door);
      t.same(siege.harm(), []);
    });
    await t.test(`2m 2q 2r: what is odd and allowed: ${door.name}`, async (t) => {
      t.match(await asked(door, [...getFields('/'), 'te', 'trailers']), '200');
      const mixed = await asked(
        door,
        getFields('/').map((text) => (text === 'http' ? 'HtTpS' : text)),
      );
      t.match(mixed, /200|400/);
      const grpc = [...getFields('/'), 'content-type', 'application/grpc', 'grpc-timeout'];
      for (const timeout of ['99999999H', '999999999H', '-1S', '1', '']) {
        t.match(await asked(door, [...grpc, timeout]), '200', JSON.stringify(timeout));
      }
      t.notMatch(await siege.seenBefore(door), 'HtTpS');
    });
    await t.test(`2s: a stream that is reset while it waits takes its request along: ${door.name}`, async () => {
      const held: Set<unknown> = new Set();
      siege.app.behaviours.set('/held', (socket) => {
        held.add(socket);
        socket.once('close', () => held.delete(socket));
      });
      const dialogue = await talk(door);
      for (let i = 0; i < 100; i++) dialogue.send(headers(2 * i + 1, getFields('/held')));
      await until(() => held.size === 100, 'all wait');
      for (let i = 0; i < 100; i++) dialogue.send(rstStream(2 * i + 1));
      await until(() => held.size === 0, 'none waits');
      dialogue.destroy();
      await siege.seenBefore(door);
    });
    for (const one of FLOODS) {
      await t.test(`${one.name}: ${door.name}`, async (t) => {
        t.equal(await flood(door, one), one.leaves === true ? 'left' : 'ended');
        t.same(siege.harm(), [], 'others are served');
        siege.app.forget();
      });
    }
  }
  await t.test('2k: upstreams that misbehave cost their requests and nothing else', async (t) => {
    const door: Door = { name: 'outbound', host: '127.0.0.1', port: upPort };
    for (const how of Object.keys(MISDEEDS)) {
      t.match(await asked(door, getFields(`/${how}`)), /50[234]/, how);
    }
    t.match(await asked(door, getFields('/good')), '200');
    t.same(siege.harm(), []);
  });
  await t.test('what ended a connection is counted by its reason', async (t) => {
    const page = await fetch(`http://127.0.0.1:${siege.sidecar.metricsPort}/metrics`);
    const counted = (await page.text()).matchAll(
      /^tulle_http2_abuse_total\{side="downstream",reason="([^"]+)"\} [1-9]/gm,
    );
    t.same(new Set(Array.from(counted, ([, reason]) => reason)), new Set(REASONS));
  });
  await siege.lift(t);
});

const OK = headers(1, [':status', '200']);

/** What an upstream does instead of an answer on stream `id`, by path. */
const MISDEEDS: Readonly<Record<string, (id: number) => string>> = {
  'goaway-then-no-streams': (id) => goaway(id) + settings([3, 0]) + rstStream(id, 2),
  'goaway-of-less': () => goaway(0),
  'goaway-twice-of-more': () => goaway(0) + goaway(0x7f_ff_ff_ff),
  'answer-of-nobody': () => headers(0x7f_ff_ff_f1, [':status', '200']),
  'no-status': (id) => headers(id, ['x', 'y']),
  'status-of-letters': (id) => headers(id, [':status', '2OO']),
  'request-for-us': (id) => headers(id, getFields('/')),
  push: (id) => `\0\0\x05\x05\x04\0\0\0${String.fromCharCode(id)}\0\0\0\x02\x88`,
  'bytes-of-anything': () => '\xff'.repeat(1000),
  'interim-without-end': (id) => headers(id, [':status', '103'], 4).repeat(5000),
};

const answered = new WeakMap<Dialogue, number>();

/** Answers `/good`, and does to every other request what its path says. */
function misbehave(dialogue: Dialogue): void {
  const asks = dialogue.frames.filter((f) => f.type === T.HEADERS);
  for (const { streamId, fields } of asks.slice(answered.get(dialogue) ?? 0)) {
    const path = fields[fields.indexOf(':path') + 1] ?? '/';
    const misdeed = MISDEEDS[path.slice(1)];
    dialogue.send(
      misdeed === undefined ? OK.replace('\0\0\0\x01', `\0\0\0${String.fromCharCode(streamId)}`) : misdeed(streamId),
    );
  }
  answered.set(dialogue, asks.length);
}
