/**
 * Opaque bytes between real sidecar processes: ends, resets, servers that speak first, the application's own TLS, balancing,
 * and more than any buffer holds.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { metric, replicasOf, until } from '../e2e/running-mesh.ts';
import { startTcpMesh, type TcpMesh } from '../support/tcp-mesh.ts';

const APP = path.join(import.meta.dirname, '../support/tcp-app.ts');
const REPLICAS = 3;
/** Far below what a detection by silence would take. */
const AT_ONCE_MS = 500;
const MIB = 1_048_576;
const TOTAL_BYTES = 100 * MIB;
/**
 * What a sidecar's memory may grow by while it holds back a transfer; the kernel's buffers are not counted in it. Most of it are read
 * buffers that the collector has not come to yet: well below what is on its way, which is what shows that somebody brakes.
 */
const GROWTH_BYTES = 72 * MIB;

const TLS_ROUTE = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'TLSRoute',
  metadata: { name: 'named', namespace: 'test' },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: 'named' }],
    hostnames: ['*.db.example'],
    rules: [{ backendRefs: [{ name: 'secure', port: 7004 }] }],
  },
};

const IDLE_POLICY = {
  apiVersion: 'tulle.dev/v1alpha1',
  kind: 'TrafficPolicy',
  metadata: { name: 'short', namespace: 'test' },
  spec: { targetRefs: [{ group: '', kind: 'Service', name: 'short' }], timeouts: { idle: '600ms' } },
};

function startServers(): Promise<TcpMesh> {
  const workloads = [
    {
      name: 'server',
      replicas: REPLICAS,
      command: ['node', APP, '7001', '7002', '7003', '--', '7004', '7005'],
      services: {
        echo: { port: 7001, appProtocol: 'tcp' },
        declared: { port: 7002, appProtocol: 'tcp' },
        undeclared: { port: 7003 },
        secure: { port: 7004 },
        'secure-declared': { port: 7005, appProtocol: 'https' },
        short: { port: 7007, targetPort: 7001, appProtocol: 'tcp' },
        named: { port: 7006, targetPort: 7005, appProtocol: 'https' },
      },
      readinessProbe: { tcpSocket: { port: 7005 } },
    },
  ];
  return startTcpMesh(workloads, [TLS_ROUTE, IDLE_POLICY]);
}

/** Everything until the end of the other side. */
async function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(socket, 'end');
  return text;
}

function askFor(mesh: TcpMesh, servername: string): Socket {
  const socket = connectTls({ ...mesh.at('named'), servername, rejectUnauthorized: false });
  return socket.on('error', () => undefined);
}

/** Most memory that a process has had so far. */
function peakBytes(pid: number | null | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** Writes `total` bytes of a repeated block, as the socket takes them; resolves to their digest. */
async function upload(socket: Socket, total: number): Promise<string> {
  const block = randomBytes(MIB);
  const hash = createHash('sha256');
  for (let sent = 0; sent < total; sent += block.length) {
    hash.update(block);
    if (!socket.write(block)) await once(socket, 'drain');
  }
  socket.end();
  return hash.digest('hex');
}

t.setTimeout(60_000);

t.test('opaque bytes through two sidecars', async (t) => {
  const mesh = await startServers();
  t.teardown(() => mesh.close());
  const [client] = replicasOf(mesh.mesh, 'client');
  const metricsAddress = client?.network.metricsAddress ?? '';

  await t.test('each side may end before the other', async (t) => {
    const socket = mesh.open('echo');
    socket.end('all of it');
    t.equal(await textOf(socket), 'all of it');
  });

  await t.test('a server that speaks first is heard at once, whether its port is declared or not', async (t) => {
    for (const service of ['declared', 'undeclared']) {
      const socket = mesh.open(service);
      const startMs = performance.now();
      const [greeting] = await once(socket, 'data');
      const tookMs = performance.now() - startMs;
      t.match(String(greeting), /^hello from server-/);
      t.ok(tookMs < AT_ONCE_MS, `${service}: ${Math.round(tookMs)} ms`);
      socket.write('reset');
      const [error] = await once(socket, 'error');
      t.equal((error as NodeJS.ErrnoException).code, 'ECONNRESET', 'a reset passes');
    }
    t.ok(
      (await metric(metricsAddress, 'tulle_protocol_detections_total', 'port="7003"', 'protocol="server-first"')) > 0,
    );
    t.equal(await metric(metricsAddress, 'tulle_protocol_detections_total', 'port="7002"'), 0);
  });

  await t.test('a policy ends the silence of its Service, and of no other', async (t) => {
    const [other, socket] = [mesh.open('echo'), mesh.open('short')];
    for (const opened of [other, socket]) opened.write('once');
    await Promise.all([once(other, 'data'), once(socket, 'data')]);
    const startMs = performance.now();
    const [error] = await once(socket, 'error');
    t.equal((error as NodeJS.ErrnoException).code, 'ECONNRESET');
    const tookMs = performance.now() - startMs;
    t.ok(tookMs > 500 && tookMs < 5000, `${Math.round(tookMs)} ms`);
    t.notOk(other.destroyed);
    other.destroy();
    await until('it is counted with its reason', async () => {
      return (await metric(metricsAddress, 'tulle_tcp_connections_total', 'reason="idle-timeout"')) === 1;
    });
  });

  await t.test('connections are spread over the replicas', async (t) => {
    const greetings = Array.from({ length: 30 }, async () => {
      const socket = mesh.open('declared');
      socket.end();
      return textOf(socket);
    });
    t.equal(new Set(await Promise.all(greetings)).size, REPLICAS);
  });

  await t.test("the application's own TLS arrives as it was, inside of ours", async (t) => {
    for (const service of ['secure', 'secure-declared']) {
      const socket = connectTls({
        ...mesh.at(service),
        servername: 'db.example',
        ALPNProtocols: ['postgresql'],
        rejectUnauthorized: false,
      });
      const [greeting] = await once(socket, 'data');
      t.match(String(greeting), /^hello from server-/);
      t.equal(socket.alpnProtocol, 'postgresql');
      t.match(socket.getPeerCertificate().subjectaltname, /application/);
      socket.destroy();
    }
    t.equal(await metric(metricsAddress, 'tulle_protocol_detections_total', 'port="7004"', 'protocol="tls"'), 1);
  });

  await t.test('a TLSRoute leads by the name that the application asks for, inside of our TLS', async (t) => {
    const known = askFor(mesh, 'one.db.example');
    const [greeting] = await once(known, 'data');
    t.match(String(greeting), /^hello from server-/);
    known.destroy();
    const unknown = askFor(mesh, 'other.example');
    const [error] = await once(unknown, 'error');
    t.equal((error as NodeJS.ErrnoException).code, 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
    const counter = 'tulle_tls_passthrough_total';
    t.equal(await metric(metricsAddress, counter, 'route="test/named"', 'outcome="routed"'), 1);
    t.equal(await metric(metricsAddress, counter, 'outcome="no-match"'), 1);
  });

  await t.test(
    "a client without sidecar reaches the application's own TLS, and servers that speak first",
    async (t) => {
      const [server] = replicasOf(mesh.mesh, 'server');
      const host = server?.network.podAddress ?? '';
      for (const port of [7002, 7003, 7004, 7005]) {
        const hasTls = port >= 7004;
        const socket = hasTls ? connectTls({ host, port, rejectUnauthorized: false }) : connect({ host, port });
        const [greeting] = await once(socket, 'data');
        t.equal(String(greeting), `hello from ${server?.plan.name}\n`);
        socket.destroy();
      }
    },
  );

  await t.test(
    'what nobody reads stops the sender, and memory stays bounded',
    { skip: process.platform !== 'linux' && 'memory of a process is read from /proc, which only Linux has' },
    async (t) => {
      const pids = [client, ...replicasOf(mesh.mesh, 'server')].map((replica) => replica?.sidecarPid);
      const before = pids.map(peakBytes);
      const socket = mesh.open('echo');
      const sent = upload(socket, TOTAL_BYTES);
      let stalledAt = -1;
      await until('the sender is stopped', async () => {
        const at = socket.bytesWritten - socket.writableLength;
        await new Promise((resolve) => setTimeout(resolve, 150));
        stalledAt = socket.bytesWritten - socket.writableLength;
        return at > 0 && at === stalledAt;
      });
      const grown = pids.map((pid, i) => peakBytes(pid) - (before[i] ?? 0));
      t.ok(stalledAt < TOTAL_BYTES, `${Math.round(stalledAt / MIB)} MiB are under way at most`);
      const hash = createHash('sha256');
      let received = 0;
      for await (const chunk of socket) {
        hash.update(chunk as Buffer);
        received += (chunk as Buffer).length;
      }
      t.same([received, hash.digest('hex')], [TOTAL_BYTES, await sent], 'all bytes both ways');
      t.same(
        grown.filter((bytes) => bytes > GROWTH_BYTES),
        [],
        `grown by ${grown.map((bytes) => Math.round(bytes / MIB)).join(', ')} MiB`,
      );
    },
  );
});
