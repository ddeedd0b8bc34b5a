/**
 * Redis, PostgreSQL and NATS through two sidecars, asked by their own clients: on ports that are declared as TCP, and on the
 * undeclared ones that they are known by.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { metric, replicasOf } from '../e2e/running-mesh.ts';
import { startTcpMesh, type TcpMesh, type TcpWorkload } from '../support/tcp-mesh.ts';
import { findTool } from '../support/tools.ts';

const run = promisify(execFile);
/** Much less than any wait of a detection. */
const AT_ONCE_MS = 500;

/** Debian package by program. */
const PACKAGES: Readonly<Record<string, string>> = {
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  initdb: 'postgresql',
  psql: 'postgresql-client',
  'nats-server': 'nats-server',
};

/** What to install, when one of them is missing. */
function missing(...programs: readonly string[]): string | false {
  const absent = programs
    .filter((program) => findTool(program) === null)
    .map((program) => PACKAGES[program] ?? program);
  return absent.length === 0 ? false : `needs: apt install ${absent.join(' ')}`;
}

const SKIP = {
  redis: missing('redis-server', 'redis-cli'),
  postgres: missing('initdb', 'psql'),
  nats: missing('nats-server'),
};

function redis(): TcpWorkload {
  return {
    name: 'redis',
    replicas: 1,
    command: [
      findTool('redis-server') ?? '',
      '--port',
      '6379',
      '--bind',
      '$(POD_IP)',
      '--save',
      '',
      '--protected-mode',
      'no',
    ],
    services: { redis: { port: 6379 }, cache: { port: 80, targetPort: 6379, appProtocol: 'redis' } },
    readinessProbe: { tcpSocket: { port: 6379 } },
  };
}

function nats(): TcpWorkload {
  return {
    name: 'nats',
    replicas: 1,
    command: [findTool('nats-server') ?? '', '-a', '$(POD_IP)', '-p', '4222'],
    services: { nats: { port: 4222 }, queue: { port: 80, targetPort: 4222, appProtocol: 'tcp' } },
    readinessProbe: { tcpSocket: { port: 4222 } },
  };
}

/** It refuses to run as root. */
function asPostgres(folder: string, script: string): readonly string[] {
  if (process.getuid?.() !== 0) return ['sh', '-c', script];
  const { uid, gid } = statSync('/var/lib/postgresql');
  chownSync(folder, uid, gid);
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', 'sh', '-c', script];
}

function postgres(folder: string): TcpWorkload {
  const bin = path.dirname(realpathSync(findTool('initdb') ?? ''));
  const options = `-h $POD_IP -c fsync=off -c unix_socket_directories= -c listen_addresses=$POD_IP`;
  const script = `cd ${folder} && ${bin}/initdb -D data -U postgres -A trust -E UTF8 --no-sync >log && exec ${bin}/postgres -D data ${options}`;
  return {
    name: 'postgres',
    replicas: 1,
    command: asPostgres(folder, script),
    services: { postgres: { port: 5432 }, db: { port: 80, targetPort: 5432, appProtocol: 'postgres' } },
    readinessProbe: { exec: { command: ['sh', '-c', `${bin}/pg_isready -q -h $POD_IP`] }, timeoutSeconds: 5 },
  };
}

async function timed<T>(work: Promise<T>): Promise<[T, number]> {
  const startMs = performance.now();
  return [await work, performance.now() - startMs];
}

/** Publishes to a subscription of its own; everything that the server said. */
async function natsRoundTrip(mesh: TcpMesh, service: string): Promise<{ greetedMs: number; said: string }> {
  const socket = mesh.open(service).setEncoding('utf8');
  const [greeting, greetedMs] = await timed(once(socket, 'data'));
  let said = String(greeting[0]);
  socket.write('CONNECT {"verbose":false}\r\nSUB orders 1\r\nPUB orders 5\r\nhello\r\nPING\r\n');
  while (!said.includes('PONG')) said += String((await once(socket, 'data'))[0]);
  socket.end();
  return { greetedMs, said };
}

async function opened(t: Test): Promise<TcpMesh> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tulle-postgres-'));
  const workloads = [
    ...(SKIP.redis === false ? [redis()] : []),
    ...(SKIP.postgres === false ? [postgres(folder)] : []),
    ...(SKIP.nats === false ? [nats()] : []),
  ];
  const mesh = await startTcpMesh(workloads);
  t.teardown(async () => {
    await mesh.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return mesh;
}

t.setTimeout(60_000);

t.test('programs that are no HTTP, with their own clients', async (t) => {
  const mesh = await opened(t);
  t.test('redis-cli', { skip: SKIP.redis }, async (t) => {
    for (const service of ['redis', 'cache']) {
      const { host, port } = mesh.at(service);
      const cli = (...words: string[]): Promise<{ stdout: string }> =>
        run('redis-cli', ['-h', host, '-p', String(port), ...words]);
      const big = 'x'.repeat(100_000);
      await cli('set', service, big);
      const [{ stdout }, tookMs] = await timed(cli('get', service));
      t.equal(stdout.trim(), big);
      t.ok(tookMs < 2 * AT_ONCE_MS, `${service}: ${Math.round(tookMs)} ms, the program's start included`);
    }
  });
  t.test('psql', { skip: SKIP.postgres }, async (t) => {
    for (const [service, mode] of [
      ['postgres', 'prefer'],
      ['db', 'disable'],
    ] as const) {
      const { host, port } = mesh.at(service);
      const url = `postgresql://postgres@${host}:${port}/postgres?sslmode=${mode}`;
      const sql = `create table t_${service} as select generate_series(1, 50000) as n; select count(*), sum(n) from t_${service}`;
      const { stdout } = await run('psql', ['-Atq', '-c', sql, url]);
      t.equal(stdout.trim(), '50000|1250025000');
      const copied = await run('psql', ['-Atq', '-c', `copy t_${service} to stdout`, url], { maxBuffer: 1 << 24 });
      t.equal(copied.stdout.length, 288_894);
    }
  });
  t.test('the greeting of NATS comes at once, and messages go round', { skip: SKIP.nats }, async (t) => {
    for (const service of ['nats', 'queue']) {
      const { greetedMs, said } = await natsRoundTrip(mesh, service);
      t.match(said, /^INFO \{.*\}[^]*MSG orders 1 5\r\nhello\r\nPONG/);
      t.ok(greetedMs < AT_ONCE_MS, `${service}: ${Math.round(greetedMs)} ms`);
    }
  });
  t.test('they passed as opaque bytes, and nothing had to be detected', async (t) => {
    const [client] = replicasOf(mesh.mesh, 'client');
    const address = client?.network.metricsAddress ?? '';
    t.ok((await metric(address, 'tulle_tcp_bytes_total', 'direction="outbound"')) > 0);
    t.equal(await metric(address, 'tulle_protocol_detections_total'), 0);
  });
});
