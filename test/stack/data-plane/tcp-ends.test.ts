/**
 * Every way for an opaque connection to end, or not to come about: what the client sees, what is counted, and the line in the access log.
 */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ClusterConfig, EndpointConfig, TcpNetworkConfig } from '../../../proxy/config/snapshot.ts';
import { openWire, rawUpstream, type Wire } from '../../support/raw-http.ts';
import { counted } from '../../support/samples.ts';
import { change, cluster, endpoint, opaqueDestination, startWorker, type TestWorker } from '../../support/worker.ts';
import { until } from './rig.ts';

const NAME = 'bytes:1';
const IDLE_MS = 400;

interface Rig {
  readonly worker: TestWorker;
  connect(): Promise<Wire>;
  /** Connections that ended for this reason; empty: well. */
  ended(reason: string): number;
  /** The last line of the access log, once there are so many. */
  line(count: number): Promise<Record<string, unknown>>;
}

interface RigOptions {
  readonly cluster?: Partial<ClusterConfig>;
  readonly network?: Partial<TcpNetworkConfig>;
}

async function rig(t: Test, endpoints: readonly EndpointConfig[], options: RigOptions = {}): Promise<Rig> {
  const accessLogPath = join(mkdtempSync(join(tmpdir(), 'tulle-')), 'access.log');
  const answer = opaqueDestination(NAME, cluster(NAME, endpoints, options.cluster), options.network);
  const worker = await startWorker(
    { explicitListens: [{ name: NAME, address: '127.0.0.1', port: 0 }], accessLog: 'json', accessLogPath },
    new Map([[NAME, answer]]),
  );
  const port = await worker.port(NAME);
  const clients: Wire[] = [];
  t.teardown(async () => {
    for (const client of clients) client.socket.destroy();
    await worker.close();
  });
  const lines = (): string[] =>
    existsSync(accessLogPath) ? readFileSync(accessLogPath, 'utf8').trim().split('\n') : [];
  return {
    worker,
    connect: async () => {
      const client = await openWire(port);
      clients.push(client);
      return client;
    },
    ended: (reason) => counted(worker, 'tulle_tcp_connections_total', `reason="${reason}"`),
    line: async (count) => {
      await until(() => lines().length === count && lines()[0] !== '', `${count} lines`);
      return JSON.parse(lines().at(-1) ?? '') as Record<string, unknown>;
    },
  };
}

async function upstream(t: Test, onConnection: (wire: Wire) => void = () => undefined): Promise<EndpointConfig> {
  const opened = await rawUpstream(onConnection);
  t.teardown(() => opened.close());
  return endpoint(opened.port);
}

/** Nobody listens there. */
async function nobody(): Promise<EndpointConfig> {
  const opened = await rawUpstream(() => undefined);
  opened.close();
  return endpoint(opened.port);
}

/** A connection that is refused by a reset, which may come before the client knows that it is connected. */
async function refusal(r: Rig): Promise<void> {
  const wire = await r.connect().catch(() => null);
  if (wire === null) return;
  await until(() => wire.isClosed, 'it is refused');
  if (!wire.hadError) throw new Error('a refused client sees a clean end');
}

const echo = (wire: Wire): void => {
  wire.socket.on('data', (chunk: Buffer) => wire.socket.write(chunk));
  wire.socket.on('end', () => wire.socket.end('bye'));
};

t.test('it is open while it is, and well ended it has no flag', async (t) => {
  const server = await upstream(t, echo);
  const r = await rig(t, [server]);
  const client = await r.connect();
  client.write('ping');
  await client.includes('ping');
  t.equal(counted(r.worker, 'tulle_tcp_connections', 'direction="outbound"'), 1);
  t.equal(counted(r.worker, 'tulle_upstream_connections', `cluster="${NAME}"`), 1);
  client.socket.end();
  await client.closed();
  const line = await r.line(1);
  t.match(line, {
    direction: 'outbound',
    protocol: 'TCP',
    response_flags: '-',
    upstream_cluster: NAME,
    upstream_host: `127.0.0.1:${server.port}`,
    route_name: 'tcp',
    attempts: 1,
    bytes_received: 4,
    bytes_sent: 7,
  });
  t.notOk('reason' in line);
  t.equal(r.ended(''), 1);
  t.equal(counted(r.worker, 'tulle_tcp_connections', 'direction="outbound"'), 0);
  t.equal(counted(r.worker, 'tulle_upstream_connections', `cluster="${NAME}"`), 0);
  t.equal(counted(r.worker, 'tulle_tcp_bytes_total', 'way="sent"'), 4);
});

t.test('who breaks it off is told apart', async (t) => {
  const servers: Wire[] = [];
  const r = await rig(t, [
    await upstream(t, (wire) => {
      servers.push(wire);
      wire.write('hello');
    }),
  ]);
  const one = await r.connect();
  await one.includes('hello');
  one.socket.resetAndDestroy();
  t.match(await r.line(1), { response_flags: 'DC', reason: 'downstream-reset', bytes_sent: 5 });
  t.ok(servers[0]?.hadError, 'the server sees a reset');
  const two = await r.connect();
  await two.includes('hello');
  servers[1]?.socket.resetAndDestroy();
  t.match(await r.line(2), { response_flags: 'UC', reason: 'upstream-reset', bytes_sent: 5 });
  t.ok(two.hadError, 'the client sees a reset');
  const three = await r.connect();
  await three.includes('hello');
  await r.worker.close();
  t.match(await r.line(3), { response_flags: 'UH', reason: 'draining' }, 'and what we cut ourselves');
  t.same([r.ended('downstream-reset'), r.ended('upstream-reset'), r.ended('draining')], [1, 1, 1]);
});

t.test('another endpoint is tried as often as the chain says, and no more', async (t) => {
  const gone = [await nobody(), await nobody()];
  const there = await upstream(t, echo);
  const all = [...gone, there];
  const enough = await rig(t, all, { network: { connectAttempts: 3 } });
  for (let i = 0; i < 3; i++) {
    const client = await enough.connect();
    client.write('x');
    await client.includes('x');
    client.socket.destroy();
  }
  t.ok(counted(enough.worker, 'tulle_upstream_connect_failures_total', 'reason="connect-failure"') >= 2);
  const once = await rig(t, gone, { network: { connectAttempts: 1 } });
  await refusal(once);
  t.match(await once.line(1), { response_flags: 'UF', reason: 'connect-failure', attempts: 1, bytes_sent: 0 });
  const many = await rig(t, gone, { network: { connectAttempts: 5 } });
  await refusal(many);
  t.match(await many.line(1), { reason: 'connect-failure', attempts: 5 });
});

t.test('no endpoint, no cluster and too many connections have a reason each', async (t) => {
  const empty = await rig(t, []);
  await refusal(empty);
  t.match(await empty.line(1), { response_flags: 'UH', reason: 'no-healthy-endpoint', attempts: 0 });
  const lost = await rig(t, [], { network: { clusters: [{ cluster: 'unresolved', weight: 1 }] } });
  await refusal(lost);
  t.match(await lost.line(1), { response_flags: 'NC', reason: 'no-cluster' });
  const limits = { connections: 1, pendingRequests: 1, requests: 1 };
  const full = await rig(t, [await upstream(t, echo)], { cluster: { limits } });
  const first = await full.connect();
  first.write('x');
  await first.includes('x');
  await refusal(full);
  t.match(await full.line(1), { response_flags: 'UO', reason: 'overflow' });
});

t.test('a connection waits for a first endpoint, as a request does', async (t) => {
  const server = await upstream(t, echo);
  const r = await rig(t, []);
  const client = await r.connect();
  client.write('early');
  const leaving = await r.connect();
  await until(() => counted(r.worker, 'tulle_tcp_connections') === 2, 'both are taken');
  leaving.socket.resetAndDestroy();
  r.worker.apply(change({ endpoints: new Map([[NAME, { cluster: NAME, endpoints: [server] }]]) }));
  t.equal(await client.includes('early'), 'early');
  client.socket.end();
  await client.closed();
  await until(() => counted(r.worker, 'tulle_tcp_connections') === 0, 'both are over');
  t.same([r.ended(''), r.ended('downstream-reset')], [1, 1], 'and who did not wait is counted as who left');
});

t.test('a client that leaves before an endpoint is reached is counted too', async (t) => {
  // TEST-NET-1: nothing answers there (RFC 5737).
  const r = await rig(t, [endpoint(9, { address: '192.0.2.1' })], { cluster: { connectTimeoutMs: 60_000 } });
  const client = await r.connect();
  await until(() => counted(r.worker, 'tulle_tcp_connections') === 1, 'it is taken');
  client.socket.resetAndDestroy();
  await until(() => counted(r.worker, 'tulle_tcp_connections') === 0, 'it is gone');
  t.equal(r.ended('downstream-reset') + r.ended('connect-failure'), 1);
});

t.test('silence of both sides ends it with a reset, and bytes of either keep it', async (t) => {
  const r = await rig(t, [await upstream(t, echo)], { network: { idleTimeoutMs: IDLE_MS } });
  const busy = await r.connect();
  const beat = setInterval(() => busy.write('.'), IDLE_MS / 4);
  t.teardown(() => clearInterval(beat));
  const silent = await r.connect();
  silent.write('once');
  await silent.includes('once');
  const startMs = performance.now();
  await silent.closed();
  const tookMs = performance.now() - startMs;
  t.ok(silent.hadError, 'a reset');
  t.ok(tookMs >= IDLE_MS * 0.9 && tookMs < IDLE_MS * 2, `after ${Math.round(tookMs)} ms`);
  t.match(await r.line(1), { response_flags: 'SI', reason: 'idle-timeout', bytes_sent: 4 });
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  t.notOk(busy.isClosed, 'the busy one goes on');
  clearInterval(beat);
  await busy.closed();
  await until(() => r.ended('idle-timeout') === 2, 'both are counted');
});

t.test('without a limit silence ends nothing', async (t) => {
  const r = await rig(t, [await upstream(t, echo)], { network: { idleTimeoutMs: 0 } });
  const client = await r.connect();
  client.write('a');
  await client.includes('a');
  await new Promise((resolve) => setTimeout(resolve, 2 * IDLE_MS));
  client.write('b');
  t.equal(await client.includes('b'), 'ab');
});
