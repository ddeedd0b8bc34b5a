/**
 * Limits and resources (reliability 1.3 and 1.7), at both listeners of a running sidecar: who is slow, who is many, who goes away, who leads in circles.
 */
import t, { type Test } from 'tap';
import { PREFACE } from '../../../proxy/http/h2/frames.ts';
import { Dialogue, END_HEADERS, headers, POST, settings } from '../../support/h2-dialogue.ts';
import { openWire, type Wire } from '../../support/raw-http.ts';
import { besiege, type Door, openDoor, type Siege, until } from './rig.ts';

const FLAGS = { 'body-idle': '1s', 'flush-timeout': '1s', 'max-connections': '900' };

/** As many connections at once, each having said `first`. */
async function many(door: Door, count: number, first: string): Promise<Wire[]> {
  const wires: Wire[] = [];
  for (let i = 0; i < count; i += 50) {
    wires.push(...(await Promise.all(Array.from({ length: Math.min(50, count - i) }, () => openDoor(door)))));
  }
  for (const wire of wires) wire.write(first);
  return wires;
}

async function allClosed(wires: readonly Wire[], what: string): Promise<void> {
  await until(() => wires.every((wire) => wire.isClosed), what, 20_000);
  for (const wire of wires) wire.socket.destroy();
}

async function slowHeads(door: Door): Promise<void> {
  const wires = await many(door, 300, 'GET / HTTP/1.1\r\nHost: a\r\nx: ');
  const drip = setInterval(() => {
    for (const wire of wires) if (!wire.isClosed) wire.write('y');
  }, 500);
  await allClosed(wires, 'all are closed at the head timeout');
  clearInterval(drip);
}

async function slowBodies(t: Test, siege: Siege, door: Door): Promise<void> {
  const wires = await many(door, 200, 'POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 1000\r\n\r\nx');
  await allClosed(wires, 'all are closed at the body idle time');
  t.ok(wires.every((wire) => wire.text.startsWith('HTTP/1.1 408 ')));
  const { socket } = await openDoor(door);
  const dialogue = new Dialogue(socket, false).send(PREFACE + settings());
  for (let i = 0; i < 100; i++) dialogue.send(headers(2 * i + 1, POST, END_HEADERS));
  await until(
    () => dialogue.summary().filter((word) => /^HEADERS \d+ 408$/.test(word)).length === 100,
    'all are answered',
  );
  dialogue.destroy();
  t.notMatch(await siege.seenBefore(door), '\r\n0\r\n\r\n');
}

async function slowReaders(door: Door): Promise<void> {
  const wires = await many(door, 30, 'GET /large HTTP/1.1\r\nHost: web\r\n\r\n'.repeat(10));
  for (const wire of wires) wire.socket.pause();
  // Looking would be reading: the sidecar says when they are gone.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  for (const wire of wires) wire.socket.resume();
  await allClosed(wires, 'all were given up');
}

/** Clients that go away within a request, two thousand times. */
async function goAwayOften(door: Door): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const wires = await many(door, 100, 'POST /large HTTP/1.1\r\nHost: web\r\nContent-Length: 1000\r\n\r\nx');
    for (const wire of wires) wire.socket.resetAndDestroy();
  }
}

async function exhaustion(t: Test, siege: Siege, door: Door): Promise<void> {
  const wires = await many(door, 1000, '');
  await until(() => wires.filter((wire) => wire.isClosed).length >= 90, 'those over the limit are closed');
  const page = await fetch(`http://127.0.0.1:${siege.sidecar.adminPort}/metrics`);
  t.equal(page.status, 200, 'the admin port is not counted');
  await page.body?.cancel();
  for (const wire of wires) wire.socket.destroy();
  // Over the limit a connection is closed without a word; until the sidecar has seen these go, that goes for the next one too.
  await until(() => siege.strike(door, 'GET / HTTP/1.0\r\n\r\n').then((text) => text !== ''), 'there is room again');
}

t.setTimeout(300_000);

t.test('a running sidecar whose clients are slow, many or gone', async (t) => {
  const siege = await besiege(t, { podAddress: '127.0.0.63', flags: FLAGS });
  for (const door of siege.doors) {
    await t.test(`slow heads, bodies and readers: ${door.name}`, async (t) => {
      await slowHeads(door);
      await slowBodies(t, siege, door);
      await slowReaders(door);
      t.same(siege.harm(), [], 'others are served');
    });
    await t.test(`clients that go away, and too many that do not: ${door.name}`, async (t) => {
      await goAwayOften(door);
      await exhaustion(t, siege, door);
      t.same(siege.harm(), [], 'others are served');
      await siege.seenBefore(door);
    });
    await t.test(`a client that has ended its side gets its answer: ${door.name}`, async (t) => {
      const wire = await openDoor(door);
      wire.socket.end('GET /large HTTP/1.1\r\nHost: web\r\n\r\n');
      t.ok((await wire.closed()).length > 1_048_576);
      wire.socket.destroy();
      await siege.seenBefore(door);
    });
  }
  await t.test('requests that lead back to the sidecar end, and names of clients make no metric', async (t) => {
    const { proxyPort, adminPort, metricsPort } = siege.sidecar;
    for (const port of [proxyPort, adminPort, metricsPort]) {
      const wire = await openWire(proxyPort);
      wire.write(
        `GET http://127.0.0.1:${port}/quitquitquit HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
      );
      t.match(await wire.closed(), /^HTTP\/1\.1 (50[0-9]|403|404) /);
      wire.socket.destroy();
    }
    const asks = Array.from({ length: 200 }, async (_, i) => {
      const wire = await openWire(proxyPort);
      // An address where nothing listens: it needs no DNS, whose sockets would be counted.
      wire.write(`GET http://127.9.0.${i}:9/ HTTP/1.1\r\nHost: 127.9.0.${i}:9\r\nConnection: close\r\n\r\n`);
      t.match(await wire.closed(), /^HTTP\/1\.1 50[0-9] /);
      wire.socket.destroy();
    });
    await Promise.all(asks);
    t.notMatch(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(), '127.9.0.');
    t.same(siege.harm(), []);
  });
  await siege.lift(t);
});
