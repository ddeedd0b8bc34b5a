/** TLS of the application through a worker: the name that the handshake asks for decides where it goes, and nobody else ends it. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import type { ListenerConfig, TcpNetworkConfig } from '../../../proxy/config/snapshot.ts';
import { renderPrometheus } from '../../../proxy/telemetry/prometheus.ts';
import { TestAuthority } from '../../support/identities.ts';
import { answering, okResponse, openWire, rawUpstream } from '../../support/raw-http.ts';
import {
  change,
  cluster,
  endpoint,
  httpListener,
  outboundListener,
  route,
  startWorker,
  table,
  tcpNetwork,
  type TestWorker,
} from '../../support/worker.ts';
import { NOTHING, underWay, until } from './rig.ts';

const NAME = 'db:443';
const authority = new TestAuthority();

/** A TLS server of the application that says its own name and the one it was asked for. */
async function database(t: Test, name: string): Promise<number> {
  const { certChainPem: cert, privateKeyPem: key } = authority.identity(name);
  const server = createTlsServer({ cert, key }, (socket) => {
    socket.on('error', () => undefined);
    socket.end(`${name} for ${socket.servername || 'nobody'}`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

interface Rig {
  readonly worker: TestWorker;
  readonly port: number;
  /** What the server says, or the code of the error that the client gets. */
  ask(servername: string): Promise<string>;
  metric(name: string, labels: string): number;
  log(): string;
}

const chain = (network: TcpNetworkConfig, ...names: string[]): ListenerConfig['serverNames'][number] => ({
  names,
  network,
});

async function rig(t: Test, ports: Readonly<Record<string, number>>, listener: ListenerConfig): Promise<Rig> {
  const clusters = new Map(Object.entries(ports).map(([name, port]) => [name, cluster(name, [endpoint(port)])]));
  const answer = change({
    clusters,
    routes: new Map([[NAME, table(NAME, [route('a')])]]),
    listeners: new Map([[NAME, listener]]),
    destinations: new Map([[NAME, 'ready' as const]]),
  });
  const accessLogPath = join(mkdtempSync(join(tmpdir(), 'tulle-')), 'access.log');
  const worker = await startWorker(
    { explicitListens: [{ name: NAME, address: '127.0.0.1', port: 0 }], accessLog: 'json', accessLogPath },
    new Map([[NAME, answer]]),
  );
  t.teardown(() => worker.close());
  const port = await worker.port(NAME);
  return {
    worker,
    port,
    ask: (servername) =>
      new Promise((resolve) => {
        let said = '';
        const socket = connectTls({ host: '127.0.0.1', port, servername, rejectUnauthorized: false });
        socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
        socket.on('end', () => resolve(said));
      }),
    metric: (name, labels) => {
      const line = renderPrometheus(worker.registry)
        .split('\n')
        .find((text) => text.startsWith(`${name}{${labels}`));
      return Number(line?.split(' ').at(-1) ?? 0);
    },
    log: () => readFileSync(accessLogPath, 'utf8'),
  };
}

t.test('the exact name goes before the longest suffix, and a suffix before all', async (t) => {
  const ports = { a: await database(t, 'a'), b: await database(t, 'b'), c: await database(t, 'c') };
  const r = await rig(t, ports, {
    ...outboundListener(NAME),
    serverNames: [
      chain(tcpNetwork('c', { name: 'shop/wide' }), '*.example'),
      chain(tcpNetwork('b', { name: 'shop/suffix' }), '*.db.example'),
      chain(tcpNetwork('a', { name: 'shop/exact' }), 'one.db.example', 'db.example'),
    ],
  });
  t.equal(await r.ask('one.db.example'), 'a for one.db.example');
  t.equal(await r.ask('ONE.DB.example'), 'a for ONE.DB.example', 'names have no case');
  t.equal(await r.ask('db.example'), 'a for db.example');
  t.equal(await r.ask('two.db.example'), 'b for two.db.example');
  t.equal(await r.ask('x.y.db.example'), 'b for x.y.db.example', 'a suffix takes any depth');
  t.equal(await r.ask('other.example'), 'c for other.example');
  t.equal(r.metric('tulle_tls_passthrough_total', 'outcome="routed",route="shop/exact"'), 3);
  t.equal(r.metric('tulle_tls_passthrough_total', 'outcome="routed",route="shop/suffix"'), 2);
  await until(() => underWay(r.worker)['inFlight'] === 0, 'all are counted out');
  t.equal(r.metric('tulle_tcp_connections', 'direction="outbound"'), 0);
  t.equal(r.metric('tulle_tcp_connections_total', 'direction="outbound",cluster="a",response_flags="-",reason=""'), 3);
});

t.test('a name that no route has is refused with the alert for it, and counted', async (t) => {
  const r = await rig(
    t,
    { a: await database(t, 'a') },
    {
      ...outboundListener(NAME),
      serverNames: [chain(tcpNetwork('a', { name: 'shop/db' }), 'db.example', '*.db.example')],
    },
  );
  for (const name of ['other.example', 'example', 'xdb.example']) {
    t.equal(await r.ask(name), 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME', name);
  }
  t.equal(await r.ask(''), 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME', 'none is asked for');
  const plain = await openWire(r.port);
  plain.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  t.equal(await plain.closed(), '', 'what is no TLS gets nothing');
  t.equal(r.metric('tulle_tls_passthrough_total', 'outcome="no-match",route=""'), 3);
  t.equal(r.metric('tulle_tls_passthrough_total', 'outcome="no-server-name",route=""'), 1);
  t.equal(r.metric('tulle_tls_passthrough_total', 'outcome="not-tls",route=""'), 1);
  t.equal(
    r.metric('tulle_tcp_connections_total', 'direction="outbound",cluster="",response_flags="NR",reason="no-route"'),
    5,
  );
  t.same(underWay(r.worker), NOTHING);
  await until(() => r.log().split('\n').length === 6, 'five lines of the access log');
  const first = JSON.parse(r.log().split('\n')[0] ?? '') as Record<string, unknown>;
  t.match(first, { protocol: 'TCP', response_flags: 'NR', reason: 'no-route', requested_server_name: 'other.example' });
});

t.test(
  'an undeclared port with routes by name: TLS by them, HTTP and a server that speaks first as ever',
  async (t) => {
    const app = await rawUpstream((wire, index) => {
      if (index === 0) answering(() => okResponse('plain'))(wire);
      else wire.write('220 ready');
    });
    t.teardown(() => app.close());
    const r = await rig(
      t,
      { a: app.port, b: await database(t, 'b') },
      {
        ...httpListener(NAME, tcpNetwork('a')),
        serverNames: [chain(tcpNetwork('b', { name: 'shop/db' }), 'db.example')],
      },
    );
    t.equal(await r.ask('db.example'), 'b for db.example');
    t.equal(await r.ask('other.example'), 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME');
    const http = await openWire(r.port);
    http.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await http.includes('plain');
    http.socket.destroy();
    const quiet = await openWire(r.port);
    t.equal(await quiet.includes('ready'), '220 ready');
    quiet.socket.destroy();
  },
);

t.test('a port without routes passes TLS on to its Service, whatever it asks for', async (t) => {
  const r = await rig(t, { a: await database(t, 'a') }, httpListener(NAME, tcpNetwork('a')));
  t.equal(await r.ask('any.example'), 'a for any.example');
  t.equal(r.metric('tulle_tls_passthrough_total', 'outcome="passed",route=""'), 1);
});

t.test(
  'weights of a route hold for connections, and the share of a backend that is not there is refused',
  async (t) => {
    const network = tcpNetwork('a', {
      clusters: [
        { cluster: 'a', weight: 60 },
        { cluster: 'b', weight: 20 },
        { cluster: 'unresolved', weight: 20 },
      ],
    });
    const r = await rig(
      t,
      { a: await database(t, 'a'), b: await database(t, 'b') },
      {
        ...outboundListener(NAME),
        serverNames: [chain(network, 'db.example')],
      },
    );
    const count = new Map<string, number>();
    for (let i = 0; i < 200; i++) {
      const said = await r.ask('db.example');
      count.set(said, (count.get(said) ?? 0) + 1);
    }
    const share = (said: string): number => (count.get(said) ?? 0) / 200;
    t.ok(Math.abs(share('a for db.example') - 0.6) < 0.1, `a: ${share('a for db.example')}`);
    t.ok(Math.abs(share('b for db.example') - 0.2) < 0.1, `b: ${share('b for db.example')}`);
    t.ok(Math.abs(share('ECONNRESET') - 0.2) < 0.1, `refused: ${share('ECONNRESET')}`);
    const refused = r.metric('tulle_tcp_connections_total', 'direction="outbound",cluster="",response_flags="NC"');
    t.equal(refused, count.get('ECONNRESET'));
  },
);

t.test('a handshake in small pieces is waited for on a port for TLS, however slow', async (t) => {
  const r = await rig(
    t,
    { a: await database(t, 'a') },
    {
      ...outboundListener(NAME),
      serverNames: [chain(tcpNetwork('a'), 'db.example')],
    },
  );
  const relay = createServer((client) => {
    const onward = connect({ host: '127.0.0.1', port: r.port, noDelay: true });
    onward.on('error', () => undefined).pipe(client);
    client.on('error', () => undefined).on('close', () => onward.destroy());
    // Every byte in a packet of its own.
    client.on('data', (chunk: Buffer) => void trickle(client, onward, chunk));
  }).listen(0, '127.0.0.1');
  t.teardown(() => relay.close());
  await once(relay, 'listening');
  const { port } = relay.address() as AddressInfo;
  const socket = connectTls({ host: '127.0.0.1', port, servername: 'db.example', rejectUnauthorized: false });
  const [said] = (await once(socket, 'data')) as [Buffer];
  t.equal(said.toString(), 'a for db.example');
  socket.destroy();
});

async function trickle(from: Socket, to: Socket, chunk: Buffer): Promise<void> {
  from.pause();
  for (let i = 0; i < chunk.length; i++) {
    to.write(chunk.subarray(i, i + 1));
    await new Promise((resolve) => setImmediate(resolve));
  }
  from.resume();
}
