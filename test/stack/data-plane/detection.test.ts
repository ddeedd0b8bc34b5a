/** Ports of undeclared protocol: nobody waits for a timer, and no timer decides against who is slow. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { inboundCluster } from '#api/names.ts';
import { renderPrometheus } from '../../../proxy/telemetry/prometheus.ts';
import { TestAuthority } from '../../support/identities.ts';
import { answering, okResponse, openWire, rawUpstream, Wire, type RawUpstream } from '../../support/raw-http.ts';
import {
  change,
  cluster,
  endpoint,
  httpListener,
  inboundListener,
  route,
  startWorker,
  table,
  tcpNetwork,
  type TestWorker,
} from '../../support/worker.ts';

/** More than any wait of a detection. */
const LONG_MS = 1200;
const POD_ADDRESS = '127.0.0.3';
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A worker with one undeclared outbound port, to `endpointPort`. */
async function undeclared(t: Test, endpointPort: number): Promise<{ worker: TestWorker; open: () => Promise<Wire> }> {
  const name = 'mystery:9000';
  const worker = await startWorker(
    { explicitListens: [{ name, address: '127.0.0.1', port: 0 }] },
    new Map([
      [
        name,
        change({
          clusters: new Map([[name, cluster(name, [endpoint(endpointPort)])]]),
          routes: new Map([[name, table(name, [route(name)])]]),
          listeners: new Map([[name, httpListener(name, tcpNetwork(name))]]),
          destinations: new Map([[name, 'ready' as const]]),
        }),
      ],
    ]),
  );
  const wires: Wire[] = [];
  t.teardown(async () => {
    for (const { socket } of wires) socket.destroy();
    await worker.close();
  });
  const open = async (): Promise<Wire> => {
    const wire = await openWire(await worker.port(name));
    wires.push(wire);
    return wire;
  };
  return { worker, open };
}

async function upstream(t: Test, onConnection: (wire: Wire) => void): Promise<RawUpstream> {
  const server = await rawUpstream(onConnection);
  t.teardown(() => server.close());
  return server;
}

function detections(worker: TestWorker): Record<string, number> {
  const found = renderPrometheus(worker.registry).matchAll(
    /^tulle_protocol_detections_total\{.*protocol="(.*?)"\} (\d+)/gm,
  );
  return Object.fromEntries(Array.from(found, ([, protocol = '', count]) => [protocol, Number(count)]));
}

t.test('a prompt HTTP client costs no connection in vain; a slow one is still served as HTTP', async (t) => {
  const server = await upstream(
    t,
    answering(() => okResponse('hi')),
  );
  const { worker, open } = await undeclared(t, server.port);
  // Written before it is connected: the bytes come with the connection, however busy this machine is.
  const prompt = new Wire(connect(await worker.port('mystery:9000'), '127.0.0.1'));
  prompt.write(GET);
  await prompt.includes('hi');
  t.equal(server.connections.length, 1);
  const slow = await open();
  await wait(LONG_MS);
  t.equal(server.connections.length, 2, 'one begun, for a server that speaks first');
  slow.write(GET);
  await slow.includes('hi');
  t.same(detections(worker), { http1: 2 });
  const [, begun] = server.connections;
  t.equal(await begun?.closed(), '', 'and given up');
});

t.test('no timer decides on a declared port: silence is waited out, and ends as idleness does', async (t) => {
  const server = await upstream(
    t,
    answering(() => okResponse('hi')),
  );
  const port = inboundCluster(server.port);
  const worker = await startWorker({ outbound: null, podAddresses: [POD_ADDRESS], downstreamIdleMs: 2 * LONG_MS });
  t.teardown(() => worker.close());
  worker.apply(
    change({
      clusters: new Map([[port, cluster(port, [endpoint(server.port)], { discovery: 'static' })]]),
      listeners: new Map([['inbound', inboundListener(server.port, 'PERMISSIVE')]]),
    }),
  );
  await worker.port('inbound');
  const open = async (): Promise<Wire> => new Wire(connect(server.port, POD_ADDRESS));
  const slow = await open();
  const silent = await open();
  await wait(LONG_MS);
  slow.write(GET);
  await slow.includes('hi');
  t.equal(await silent.closed(), '', 'closed without a word');
  t.notOk(silent.hadError);
  t.same(detections(worker), {}, 'nothing was to be detected');
  const quiet = await open();
  await once(quiet.socket, 'connect');
  worker.worker.receive({ kind: 'drain', direction: 'inbound', deadlineMs: 60_000 });
  t.equal(await quiet.closed(), '', 'nobody waits for it at the end');
  slow.socket.destroy();
  await worker.message((message) => message.kind === 'drained');
});

t.test('a server that ends at once is heard, one that is not there is a reset', async (t) => {
  const closing = await upstream(t, (wire) => wire.socket.end());
  const ended = await (await undeclared(t, closing.port)).open();
  t.equal(await ended.closed(), '');
  const gone = await rawUpstream(() => undefined);
  gone.close();
  const { worker, open } = await undeclared(t, gone.port);
  const silent = await open();
  const [error] = await once(silent.socket, 'error');
  t.equal((error as NodeJS.ErrnoException).code, 'ECONNRESET');
  t.same(detections(worker), { silent: 1 });
  const http = await open();
  http.write(GET);
  t.match(await http.includes('tulle-reason'), /^HTTP\/1\.1 503/, 'HTTP clients are told');
});

t.test('where plaintext is allowed, a greeting is held back until a handshake with us would have begun', async (t) => {
  const authority = new TestAuthority();
  const server = await upstream(t, (wire) => wire.write('220 ready'));
  const name = inboundCluster(server.port);
  const worker = await startWorker({ outbound: null, podAddresses: [POD_ADDRESS] });
  t.teardown(() => worker.close());
  worker.worker.receive({ kind: 'identity', identity: authority.identity('echo') });
  const listener = inboundListener(server.port, 'PERMISSIVE');
  const network = tcpNetwork(name);
  worker.apply(
    change({
      trust: authority.trust,
      clusters: new Map([[name, cluster(name, [endpoint(server.port)], { discovery: 'static' })]]),
      listeners: new Map([
        ['inbound', { ...listener, chains: listener.chains.map((chain) => Object.assign(chain, { network })) }],
      ]),
    }),
  );
  await worker.port('inbound');
  const plain = await openWire(server.port, POD_ADDRESS);
  t.equal(await plain.includes('ready'), '220 ready');
  plain.socket.destroy();
  const socket = connect(server.port, POD_ADDRESS);
  await once(socket, 'connect');
  await wait(40);
  t.equal(server.connections.length, 2, 'the server has been reached');
  const { certChainPem: cert, privateKeyPem: key } = authority.identity('client');
  const secure = connectTls({ socket, cert, key, ALPNProtocols: ['tulle'], rejectUnauthorized: false });
  t.equal(String((await once(secure, 'data'))[0]), '220 ready');
  t.equal(secure.alpnProtocol, 'tulle');
  secure.destroy();
});
