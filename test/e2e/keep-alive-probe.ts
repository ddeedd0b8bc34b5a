/**
 * Run inside a namespace of its own: opaque connections over two workers, one side of which is then cut off by iptables without a word.
 * Prints, as a line of JSON for each, after how many milliseconds the other side heard of it.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { inboundCluster } from '#api/names.ts';
import { TestAuthority } from '../support/identities.ts';
import { rawUpstream } from '../support/raw-http.ts';
import {
  change,
  cluster,
  endpoint,
  inboundListener,
  opaqueDestination,
  startWorker,
  type TestWorker,
} from '../support/worker.ts';

const keepAliveMs = Number(process.argv[2]);
const NAME = 'bytes:1';
const POD_ADDRESS = '127.0.0.9';
const authority = new TestAuthority();

const app = await rawUpstream((wire) => wire.write('hello'));

async function startServer(): Promise<TestWorker> {
  const server = await startWorker({ outbound: null, podAddresses: [POD_ADDRESS], keepAliveMs });
  server.worker.receive({ kind: 'identity', identity: authority.identity('echo') });
  const name = inboundCluster(app.port);
  server.apply(
    change({
      trust: authority.trust,
      clusters: new Map([[name, cluster(name, [endpoint(app.port)], { discovery: 'static' })]]),
      listeners: new Map([['inbound', inboundListener(app.port, 'STRICT', true)]]),
    }),
  );
  await server.port('inbound');
  return server;
}

async function startClient(mtls: boolean): Promise<TestWorker> {
  const meshed = endpoint(app.port, { address: POD_ADDRESS, mtls: true, identity: authority.spiffeId('echo') });
  const answer = opaqueDestination(NAME, cluster(NAME, [mtls ? meshed : endpoint(app.port)]));
  const explicitListens = [{ name: NAME, address: '127.0.0.1', port: 0 }];
  const client = await startWorker({ explicitListens, keepAliveMs }, new Map([[NAME, answer]]));
  client.worker.receive({ kind: 'identity', identity: authority.identity('client') });
  client.apply(change({ trust: authority.trust }));
  return client;
}

async function open(worker: TestWorker): Promise<Socket> {
  const socket = connect(await worker.port(NAME), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'data');
  return socket;
}

/** Packets to and from a port go nowhere. */
function cut(address: string, port: number): void {
  for (const flags of [
    ['-d', address, '--dport', String(port)],
    ['-s', address, '--sport', String(port)],
  ]) {
    execFileSync('iptables', ['-A', 'INPUT', '-p', 'tcp', ...flags, '-j', 'DROP']);
  }
}

async function measure(what: string, at: { address: string; port: number }, hears: Socket): Promise<void> {
  cut(at.address, at.port);
  const startMs = performance.now();
  await new Promise((resolve) => hears.once('close', resolve));
  const tookMs = Math.round(performance.now() - startMs);
  execFileSync('iptables', ['-F', 'INPUT']);
  process.stdout.write(`${JSON.stringify({ what, tookMs })}\n`);
}

const server = await startServer();
const meshed = await startClient(true);
const plain = await startClient(false);
await measure('endpoint', { address: '127.0.0.1', port: app.port }, await open(plain));
await measure('peer', { address: POD_ADDRESS, port: app.port }, await open(meshed));
await open(plain);
const ofClient = app.connections.at(-1)?.socket as Socket;
await measure('client', { address: '127.0.0.1', port: await plain.port(NAME) }, ofClient);
await open(meshed);
const ofPeer = app.connections.at(-1)?.socket as Socket;
await measure('peer-client', { address: POD_ADDRESS, port: app.port }, ofPeer);
await Promise.all([server.close(), meshed.close(), plain.close()]);
app.close();
process.exit(0);
