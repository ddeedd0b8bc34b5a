/**
 * Every vector of llhttp and every refused one of ours through a real worker, and through two with HTTP/2 between them, whole and in pieces: what comes out on the other side is
 * what our reader, judged against llhttp elsewhere, sees in it; exactly once, and nothing of what is refused.
 */
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { TestAuthority } from '../../support/identities.ts';
import { openWire, rawUpstream, type RawUpstream, type Wire } from '../../support/raw-http.ts';
import { cluster, destination, endpoint, route, startWorker } from '../../support/worker.ts';
import { workerMesh } from '../../support/worker-mesh.ts';
import { type Message, readRequests, readResponses } from '../h1/recorder.ts';
import { CHUNKED, REFUSED_ANSWERS, REFUSED_CHUNKS, REFUSED_HEADS } from '../h1/vectors.ts';

interface Case {
  readonly id: string;
  readonly type: 'request' | 'response';
  readonly skipBody?: boolean;
  readonly input: string;
}

const CASES = JSON.parse(
  readFileSync(new URL('../../corpora/llhttp/llhttp-cases.json', import.meta.url), 'utf8'),
) as Case[];

/** Most vectors have no Host, which HTTP/1.1 demands. */
function withHost(text: string): string {
  if (/\nhost[ \t]*:/i.test(text)) return text;
  const host = /^\S+ https?:\/\/(?:[^/? ]*@)?([^/? ]+)/.exec(text)?.[1] ?? 'a';
  return text.replaceAll('HTTP/1.1\r\n', `HTTP/1.1\r\nHost: ${host}\r\n`);
}

interface Vector {
  readonly id: string;
  readonly skipBody: boolean;
  readonly bytes: Buffer;
}

function vectorsOf(type: Case['type']): Vector[] {
  return CASES.filter((c) => c.type === type).map((c) => {
    const text = Buffer.from(c.input, 'base64').toString('latin1');
    const bytes = Buffer.from(type === 'request' ? withHost(text) : text, 'latin1');
    return { id: c.id, skipBody: c.skipBody === true, bytes };
  });
}

/** Whole, in two, and a few bytes at a time. */
function pieces(bytes: Buffer): Buffer[][] {
  const half = bytes.length >> 1;
  const small: Buffer[] = [];
  for (let at = 0; at < Math.min(bytes.length, 300); at += 7) small.push(bytes.subarray(at, at + 7));
  if (bytes.length > 300) small.push(bytes.subarray(small.length * 7));
  return [[bytes], [bytes.subarray(0, half), bytes.subarray(half)], small];
}

async function send(wire: Wire, parts: readonly Buffer[]): Promise<void> {
  for (const part of parts) {
    wire.socket.write(part);
    if (parts.length > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  wire.socket.end();
}

interface Rig {
  readonly port: number;
  readonly upstream: RawUpstream;
}

type Hops = 'one sidecar' | 'two sidecars, HTTP/2 between them';
const PATHS: readonly Hops[] = ['one sidecar', 'two sidecars, HTTP/2 between them'];
const authority = new TestAuthority();

async function rig(t: Test, hops: Hops, onConnection: (wire: Wire) => void): Promise<Rig> {
  if (hops === 'one sidecar') return oneHop(t, onConnection);
  const { app, client } = await workerMesh(
    t,
    { authority, podAddress: '127.0.0.31', mode: 'STRICT', retry: null },
    onConnection,
  );
  return { port: await client.port('echo:80'), upstream: app };
}

async function oneHop(t: Test, onConnection: (wire: Wire) => void): Promise<Rig> {
  const upstream = await rawUpstream(onConnection);
  const config = cluster('echo:80', [endpoint(upstream.port)]);
  const { worker, ...w } = await startWorker(
    { explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port: 0 }] },
    new Map([['echo:80', destination('echo:80', config, [route('echo:80', { retry: null })])]]),
  );
  t.teardown(async () => {
    upstream.close();
    await worker.close();
  });
  return { port: await w.port('echo:80'), upstream };
}

/** What is the same on both sides of a proxy: it adds fields of its own and says what connections do. */
function essence(message: Message, fields: readonly string[]): unknown {
  const { start, body, trailers } = message;
  return { start, body, trailers, fields };
}

/** The last one is what an upgrade loses and gains on its way through HTTP/2 (RFC 8441). */
const OWN = new Set(['traceparent', 'tracestate', 'x-request-id', 'x-forwarded-client-cert', 'sec-websocket-key']);

function foreign(fields: readonly string[]): string[] {
  return fields.filter((_, i) => !OWN.has(fields[i - (i % 2)] ?? ''));
}

function essences(messages: readonly Message[]): unknown[] {
  return messages.filter((m) => m.complete).map((m) => essence(m, foreign(m.fields)));
}

/** Answers each whole request; all that came on it is judged when the client is gone. */
function answersWhole(wire: Wire): void {
  let answered = 0;
  wire.socket.on('data', () => {
    const whole = readRequests(Buffer.from(wire.text, 'latin1')).messages.filter((m) => m.complete).length;
    for (; answered < whole; answered++) wire.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  });
}

/** What the upstream saw of one client. */
async function forwarded(r: Rig, parts: readonly Buffer[]): Promise<{ seen: unknown[]; bytes: number }> {
  for (const wire of r.upstream.connections) wire.text = '';
  r.upstream.connections.length = 0;
  const client = await openWire(r.port);
  await send(client, parts);
  await client.closed();
  const texts = r.upstream.connections.map((wire) => wire.text);
  for (const wire of r.upstream.connections) wire.socket.destroy();
  return {
    seen: texts.flatMap((text) => essences(readRequests(Buffer.from(text, 'latin1')).messages)),
    bytes: texts.join('').length,
  };
}

/** Answered by the proxy itself: no route matches `*`, and CONNECT has none. */
function isOurs(message: Message): boolean {
  return message.start.startsWith('CONNECT ') || message.start.endsWith(' *');
}

for (const hops of PATHS)
  t.test(`requests come out as they went in, each once, and none after one that is refused: ${hops}`, async (t) => {
    const r = await rig(t, hops, answersWhole);
    for (const { id, bytes } of vectorsOf('request')) {
      const { messages } = readRequests(bytes);
      const stop = messages.findIndex((m) => m.start.startsWith('CONNECT '));
      const expected = (stop < 0 ? messages : messages.slice(0, stop)).filter((m) => !isOurs(m));
      for (const parts of pieces(bytes)) {
        const { seen } = await forwarded(r, parts);
        if (JSON.stringify(seen) !== JSON.stringify(essences(expected))) t.same(seen, essences(expected), id);
      }
    }
    t.pass('every vector');
  });

for (const hops of PATHS)
  t.test(`a head that is refused puts no byte upstream, a body that is refused never its end: ${hops}`, async (t) => {
    const r = await rig(t, hops, answersWhole);
    for (const [name, [, ...inputs]] of Object.entries(REFUSED_HEADS)) {
      for (const input of inputs) {
        for (const parts of pieces(Buffer.from(input, 'latin1')).slice(0, 2)) {
          const { bytes } = await forwarded(r, parts);
          if (bytes !== 0) t.equal(bytes, 0, `${name}: ${JSON.stringify(input)}`);
        }
      }
    }
    for (const chunks of REFUSED_CHUNKS) {
      const { seen } = await forwarded(r, [Buffer.from(CHUNKED + chunks, 'latin1')]);
      t.same(seen, [], JSON.stringify(chunks));
    }
  });

/** What a client gets when the upstream sends `parts` and ends. */
async function received(
  r: Rig,
  answer: { parts: readonly Buffer[] },
  parts: readonly Buffer[],
  method: string,
): Promise<string> {
  answer.parts = parts;
  const client = await openWire(r.port);
  client.write(`${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  return client.closed();
}

for (const hops of PATHS)
  t.test(`answers come out as they went in, or as 502 or cut off, never otherwise: ${hops}`, async (t) => {
    const answer: { parts: readonly Buffer[] } = { parts: [] };
    const r = await rig(t, hops, (wire) => wire.socket.once('data', () => void send(wire, answer.parts)));
    const refused = REFUSED_ANSWERS.map((text) => ({ id: text, bytes: Buffer.from(text, 'latin1'), skipBody: false }));
    for (const { id, bytes, skipBody } of [...vectorsOf('response'), ...refused]) {
      const method = skipBody ? 'HEAD' : 'GET';
      const { messages, end } = readResponses(bytes, [], [method]);
      const at = messages.findIndex((m) => !m.start.startsWith('1') || m.start.startsWith('101'));
      const final = messages[at];
      const isWhole = final !== undefined && (final.complete || (at === messages.length - 1 && end === 'complete'));
      for (const parts of pieces(bytes)) {
        const text = await received(r, answer, parts, method);
        const got = readResponses(Buffer.from(text, 'latin1'), [], [method]).messages.find(
          (m) => !m.start.startsWith('1'),
        );
        if (isWhole) {
          const want = essence(final, final.fields);
          const have =
            got === undefined ? 'nothing' : essence({ ...got, start: sameReason(got, final, hops) }, got.fields);
          if (JSON.stringify(have) !== JSON.stringify(want)) t.same(have, want, id);
        } else if (got?.complete === true && !/^50[23] /.test(got.start)) t.fail(`${id}: ${text.slice(0, 200)}`);
      }
    }
    t.pass('every vector');
  });

/** A missing reason is made up, and HTTP/2 carries none (RFC 9113 8.3.2). */
function sameReason(got: Message, want: Message, hops: Hops): string {
  const [code = ''] = got.start.split(' ', 1);
  if (hops !== 'one sidecar') return want.start.startsWith(`${code} `) ? want.start : got.start;
  return want.start.endsWith(' ') ? `${got.start.split(' ', 1)[0] ?? ''} ` : got.start;
}
