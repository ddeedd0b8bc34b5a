/**
 * `node bench/bulk.ts [--mib N]`: much data each way over each protocol, through two sidecars, read slowly at the far end. The memory of the sidecars
 * must not grow by more than the windows of their connections, whatever goes through.
 */
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { parseArgs } from 'node:util';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { Place } from './soak/clients.ts';
import { lookAt, places, start } from './soak/mesh.ts';
import { GRPC_METHODS, workloads, type ServiceName } from './soak/names.ts';

const MIB = 1_048_576;
const PIECE = Buffer.alloc(65_536, 'tulle');
const REST = { everyBytes: 8 * MIB, ms: 20 };
/**
 * Windows of a connection between sidecars are 8 MiB, and each side keeps 64 KiB more; the rest is V8's: a young generation of up to 48 MB, and
 * read buffers that wait for the collector. A gibibyte measured 55 to 84 MB, 64 MiB 21 to 44 MB: what goes through does not count.
 */
export const GROWTH_MB = 100;

export interface BulkResult {
  readonly way: string;
  readonly seconds: number;
  /** Largest resident memory of a sidecar above that before the first way. */
  readonly growthMb: number;
}

type Ways = Readonly<Record<string, (sizeBytes: number) => Promise<number>>>;

/** Where bytes go. */
interface Sink {
  write(piece: Buffer): boolean;
  end(): unknown;
  once(event: 'drain', listener: () => void): unknown;
}

/** Sends as many bytes as are taken; ends. */
async function pour(out: Sink, sizeBytes: number): Promise<void> {
  for (let left = sizeBytes; left > 0; left -= PIECE.length) {
    const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
    if (!out.write(piece)) await new Promise<void>((resolve) => out.once('drain', resolve));
  }
  out.end();
}

/** Reads slowly to the end; how many bytes it was. */
async function sip(source: AsyncIterable<Buffer>): Promise<number> {
  let received = 0;
  let rested = 0;
  for await (const piece of source) {
    received += piece.length;
    if (received - rested < REST.everyBytes) continue;
    rested = received;
    await new Promise((resolve) => setTimeout(resolve, REST.ms));
  }
  return received;
}

async function both(stream: Duplex | Socket, sizeBytes: number): Promise<number> {
  const [received] = await Promise.all([sip(stream), pour(stream, sizeBytes)]);
  return received;
}

function waysTo({ web, calls, bytes }: Readonly<Record<ServiceName, Place>>): Ways {
  const over2 = async (headers: http2.OutgoingHttpHeaders, sizeBytes: number): Promise<number> => {
    const session = http2.connect(`http://${web.host}:${web.port}`);
    const stream = session.request(headers);
    if (headers[':method'] === 'PUT') await pour(stream, sizeBytes);
    const received = headers[':method'] === 'PUT' ? Number(await text(stream)) : await sip(stream);
    session.close();
    return received;
  };
  return {
    'HTTP/1.1 down': async (size) => {
      const request = http.get({ ...web, path: `/?bytes=${size}`, agent: false });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      return sip(response);
    },
    'HTTP/1.1 up': async (size) => {
      const request = http.request({ ...web, path: '/?slow', method: 'PUT', agent: false });
      const answer = once(request, 'response') as Promise<[http.IncomingMessage]>;
      await pour(request, size);
      return Number(await text((await answer)[0]));
    },
    'HTTP/2 down': (size) => over2({ ':path': `/?bytes=${size}` }, size),
    'HTTP/2 up': (size) => over2({ ':path': '/?slow', ':method': 'PUT' }, size),
    'gRPC both ways': async (size) => {
      const client = new Client(`${calls.host}:${calls.port}`, credentials.createInsecure());
      const { path: method, requestSerialize, responseDeserialize } = GRPC_METHODS.chat;
      const call = client.makeBidiStreamRequest(method, requestSerialize, responseDeserialize, new Metadata());
      const [received] = await Promise.all([sip(call as AsyncIterable<Buffer>), pour(call, size)]);
      client.close();
      return received;
    },
    'upgrade both ways': async (size) => {
      const socket = connect(web);
      socket.write('GET / HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      const [head] = (await once(socket, 'data')) as [Buffer];
      if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error('no upgrade');
      return both(socket, size);
    },
    'TCP both ways': (size) => both(connect({ ...bytes, allowHalfOpen: true }), size),
  };
}

async function text(source: AsyncIterable<Buffer>): Promise<string> {
  let all = '';
  for await (const piece of source) all += piece.toString('latin1');
  return all;
}

/** @param entry as in `soak.ts` */
export async function bulk(mib: number, entry: string): Promise<readonly BulkResult[]> {
  const state = path.join(tmpdir(), `tulle-bulk-${process.pid}`);
  const manifests = path.join(state, 'manifests');
  mkdirSync(manifests, { recursive: true });
  const items = workloads(['node', path.join(import.meta.dirname, 'soak/app.ts')]);
  writeFileSync(path.join(manifests, 'all.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const mesh = await start(entry, manifests, state);
  const largest = (): number => Math.max(...lookAt(state, 0).map((s) => (s.process === 'control-plane' ? 0 : s.rssMb)));
  try {
    const ways = waysTo(places(mesh));
    // The first MiB of each is for what is compiled and allocated once.
    for (const way of Object.values(ways)) await way(MIB);
    const before = largest();
    const results: BulkResult[] = [];
    for (const [way, run] of Object.entries(ways)) {
      let peak = 0;
      const timer = setInterval(() => (peak = Math.max(peak, largest())), 100);
      const started = performance.now();
      const received = await run(mib * MIB);
      clearInterval(timer);
      if (received !== mib * MIB) throw new Error(`${way}: ${received} of ${mib * MIB} bytes`);
      results.push({ way, seconds: (performance.now() - started) / 1000, growthMb: peak - before });
    }
    return results;
  } finally {
    await mesh.close();
    rmSync(state, { recursive: true, force: true });
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { mib: { type: 'string', default: '1024' } } });
  const results = await bulk(Number(values.mib), path.join(import.meta.dirname, '..', 'dist/tulle.cjs'));
  for (const { way, seconds, growthMb } of results) {
    console.log(`${way.padEnd(18)} ${values.mib} MiB in ${seconds.toFixed(1)} s, memory +${growthMb.toFixed(1)} MB`);
  }
  return results.every(({ growthMb }) => growthMb <= GROWTH_MB) ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) process.exitCode = await main();
