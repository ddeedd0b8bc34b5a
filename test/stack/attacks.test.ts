/**
 * Attacks on a running sidecar (reliability classes by their numbers): each ends as it must, others are served throughout, and afterwards
 * memory and descriptors are where they were. What each frame is answered with stands in test/wire; here it is the process that counts.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { serviceWithEndpoint, startFolderMesh } from '../support/folder-mesh.ts';
import { startSidecar, type SidecarProcess } from '../support/sidecar.ts';

const MIB = 1_048_576;
/** Ten percent of what it was, and twenty megabytes. */
const SHARE = 0.1;
const SLACK_MB = 20;
/** What an attack may take to end; heads have two seconds. */
const END_MS = 15_000;

// --- HTTP/2 by hand (RFC 9113 4.1) -------------------------------------------------------------------------------

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const TYPE = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, window: 8, continuation: 9 } as const;
const END_STREAM = 1;
const END_HEADERS = 4;

function frame(type: keyof typeof TYPE, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = TYPE[type];
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

/** GET of `path`, static table for the rest. */
function requestBlock(path: string): Buffer {
  return Buffer.concat([Buffer.from([0x82, 0x86]), literal(':path', path), literal(':authority', 'web')]);
}

const OPENING = Buffer.concat([PREFACE, frame('settings', 0, 0)]);
const get = (stream: number, path = '/'): Buffer =>
  frame('headers', END_HEADERS | END_STREAM, stream, requestBlock(path));

/** `count` times what `make` gives for the next odd stream. */
function streams(count: number, make: (stream: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => make(2 * i + 1)));
}

interface Attack {
  readonly name: string;
  readonly bytes: () => Buffer;
  /** The attacker reads what comes. */
  readonly reads?: false;
  /** The attacker goes away by itself; else the sidecar must end the connection. */
  readonly leaves?: true;
}

const ATTACKS: readonly Attack[] = [
  {
    name: 'H11: a head with control characters',
    bytes: () => Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nx: \x00\r\n\r\n'),
  },
  { name: 'H14: a megabyte of chunk extensions', bytes: () => chunked('1;'.padEnd(MIB, 'x')) },
  { name: 'H19: no HTTP at all', bytes: () => Buffer.alloc(MIB, 0xff) },
  {
    name: '1.3: a head of a megabyte',
    bytes: () => Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(MIB)}\r\n\r\n`),
  },
  {
    name: '1.3: ten thousand fields',
    bytes: () => Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${'x: y\r\n'.repeat(10_000)}\r\n`),
  },
  {
    name: 'H29: two thousand requests in a row, and no answer read',
    bytes: () => Buffer.from('GET /large HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2000)),
    reads: false,
    leaves: true,
  },
  { name: 'H30: sixty thousand chunks of one byte', bytes: () => chunked('1\r\nx\r\n'.repeat(60_000)), leaves: true },
  {
    name: '2a: ten thousand streams reset at once',
    bytes: () =>
      Buffer.concat([OPENING, streams(10_000, (s) => Buffer.concat([get(s), frame('reset', 0, s, word(8))]))]),
  },
  {
    name: '2b: five thousand streams that make us reset them',
    bytes: () =>
      Buffer.concat([OPENING, streams(5000, (s) => Buffer.concat([get(s), frame('window', 0, s, word(0))]))]),
  },
  {
    name: '2c: a header block without end',
    bytes: () =>
      Buffer.concat([
        OPENING,
        frame('headers', 0, 1, requestBlock('/')),
        ...Array.from({ length: 100_000 }, () => frame('continuation', 0, 1)),
      ]),
  },
  {
    name: '2d: one entry of the table, sixteen thousand times',
    bytes: () =>
      Buffer.concat([
        OPENING,
        ...[0, 1, 2, 3].map((i) =>
          frame('headers', END_HEADERS | END_STREAM, 2 * i + 1, Buffer.concat([requestBlock('/'), bomb(i === 0)])),
        ),
      ]),
    leaves: true,
  },
  {
    name: '2e: twenty thousand SETTINGS, and no answer read',
    bytes: () => Buffer.concat([OPENING, ...Array.from({ length: 20_000 }, () => frame('settings', 0, 0))]),
    reads: false,
  },
  {
    name: '2f: twenty thousand PINGs, and no answer read',
    bytes: () =>
      Buffer.concat([OPENING, ...Array.from({ length: 20_000 }, () => frame('ping', 0, 0, Buffer.alloc(8)))]),
    reads: false,
  },
  {
    name: '2g: ten thousand requests that are none',
    bytes: () =>
      Buffer.concat([
        OPENING,
        streams(10_000, (s) => frame('headers', END_HEADERS | END_STREAM, s, literal('Upper', 'x'))),
      ]),
  },
  {
    name: '2h: a hundred answers of a megabyte, and a window of nothing',
    bytes: () =>
      Buffer.concat([
        PREFACE,
        frame('settings', 0, 0, Buffer.concat([Buffer.from([0, 4]), word(0)])),
        streams(100, (s) => get(s, '/large')),
      ]),
    leaves: true,
  },
  {
    name: '2i: a body of empty frames',
    bytes: () =>
      Buffer.concat([
        OPENING,
        frame(
          'headers',
          END_HEADERS,
          1,
          Buffer.concat([Buffer.from([0x83, 0x86]), literal(':path', '/'), literal(':authority', 'web')]),
        ),
        ...Array.from({ length: 20_000 }, () => frame('data', 0, 1)),
      ]),
  },
  {
    name: '2j: a window that overflows',
    bytes: () => Buffer.concat([OPENING, frame('window', 0, 0, word(0x7f_ff_ff_ff))]),
  },
];

function chunked(body: string): Buffer {
  return Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
}

/** A field of 4,000 bytes put into the table, or asked for again four thousand times. */
function bomb(isFirst: boolean): Buffer {
  const value = Buffer.alloc(3900, 'v');
  // 0x40: literal with incremental indexing; 7-bit length 3900 takes a prefix and two more bytes (RFC 7541 5.1).
  const entry = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xbd, 0x1d]), value]);
  return isFirst ? entry : Buffer.alloc(4000, 0xbe);
}

// --- the rig -------------------------------------------------------------------------------------------------------

interface Rig {
  readonly sidecar: SidecarProcess;
  readonly port: number;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function rig(t: Test): Promise<Rig> {
  const large = Buffer.alloc(MIB, 'x');
  const app = http.createServer((request, response) => {
    request.resume();
    request.on('error', () => undefined);
    response.end(request.url === '/large' ? large : 'ok');
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  const appPort = (app.address() as AddressInfo).port;
  const folder = t.testdir();
  const mesh = await startFolderMesh(folder, { 'web.yaml': serviceWithEndpoint('web', 80, 'http', appPort) });
  const port = await freePort();
  const listen = `web.default.svc.cluster.local:80=127.0.0.1:${port}`;
  const sidecar = await startSidecar(folder, mesh, 'attacked-1', { 'outbound-listen': listen, 'head-timeout': '2s' });
  t.teardown(async () => {
    await sidecar.stop();
    await mesh.close();
    app.closeAllConnections();
    app.close();
  });
  return { sidecar, port };
}

function memoryMb({ sidecar }: Rig): number {
  const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${sidecar.pid}/status`, 'utf8'))?.[1]);
  return (kilobytes * 1024) / 1e6;
}

function descriptors({ sidecar }: Rig): number {
  return readdirSync(`/proc/${sidecar.pid}/fd`).length;
}

/** Somebody who has done nothing: one request after the other, on a connection that is kept. */
class Bystander {
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;
  readonly failures: string[] = [];
  requests = 0;
  #ended = false;
  #done: Promise<void>;

  constructor(port: number) {
    this.#port = port;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#ended = true;
    await this.#done;
    this.#agent.destroy();
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      const outcome = await this.#ask();
      this.requests++;
      if (outcome !== '200') this.failures.push(outcome);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #ask(): Promise<string> {
    return new Promise((resolve) => {
      const options = { host: '127.0.0.1', port: this.#port, agent: this.#agent, timeout: 5000 };
      const request = http.get(options, (response) => {
        response.resume();
        response.on('end', () => resolve(String(response.statusCode)));
      });
      request.on('timeout', () => request.destroy(new Error('no answer in 5 s')));
      request.on('error', (error) => resolve(error.message));
    });
  }
}

/** Resolves when the sidecar has ended the connection, or the attacker has gone. */
async function attack(port: number, { bytes, reads, leaves }: Attack): Promise<'ended' | 'left' | 'still open'> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  const closed = new Promise<'ended'>((resolve) => socket.once('close', () => resolve('ended')));
  if (reads !== false) socket.resume();
  else socket.pause();
  await once(socket, 'connect');
  socket.write(bytes());
  if (leaves === true) {
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 1500))]);
    socket.destroy();
    return 'left';
  }
  // Who does not read does not see the end either, until it looks.
  const look = setTimeout(() => socket.resume(), 3000);
  const outcome = await Promise.race([
    closed,
    new Promise<'still open'>((resolve) => setTimeout(() => resolve('still open'), END_MS)),
  ]);
  clearTimeout(look);
  socket.destroy();
  return outcome;
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

t.setTimeout(180_000);

/** Heads that never end, on three hundred connections; resolves when the sidecar has closed all. */
async function slowHeads(port: number): Promise<void> {
  const open = new Set<Socket>();
  for (let i = 0; i < 300; i++) {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\nx: '));
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
    socket.resume();
    open.add(socket);
  }
  const drip = setInterval(() => {
    for (const socket of open) socket.write('y');
  }, 500);
  await until(() => open.size === 0, 'all are closed at the head timeout');
  clearInterval(drip);
}

async function goAway(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write('POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx');
  socket.resetAndDestroy();
}

/** Clients that go away within a request, two thousand times. */
async function goAwayOften(port: number): Promise<void> {
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 100 }, () => goAway(port)));
}

t.test('a sidecar under attack serves others, and is afterwards as before', async (t) => {
  const r = await rig(t);
  const fresh = descriptors(r);
  const bystander = new Bystander(r.port);
  for (const one of ATTACKS) {
    await t.test(one.name, async (t) => {
      const failed = bystander.failures.length;
      t.equal(await attack(r.port, one), one.leaves === true ? 'left' : 'ended');
      t.same(bystander.failures.slice(failed), [], 'others are served');
    });
  }
  await t.test('slow heads, and clients that go away', async (t) => {
    await slowHeads(r.port);
    await goAwayOften(r.port);
    t.same(bystander.failures, [], 'others are served');
  });
  await until(() => descriptors(r) <= fresh + 4, 'descriptors are as before, but for the bystander');

  // What V8 compiles and allocates for the first time is no growth: a second time all of it must find room in what it has.
  const before = memoryMb(r);
  for (const one of ATTACKS) await attack(r.port, { ...one, leaves: true });
  await slowHeads(r.port);
  await goAwayOften(r.port);
  const bound = before * (1 + SHARE) + SLACK_MB;
  await until(() => memoryMb(r) <= bound, `memory is at most ${bound.toFixed(0)} MB again`);
  await until(() => descriptors(r) <= fresh + 4, 'descriptors are as before');
  await bystander.stop();
  t.same(bystander.failures, []);
  t.ok(bystander.requests > 500, `${bystander.requests} requests of others`);
  t.comment(`memory ${before.toFixed(0)} MB, then ${memoryMb(r).toFixed(0)} MB`);
});
