/**
 * Two workers and an application: mutual TLS between them, who may connect, what the application learns of its client,
 * what the client's side learns when the application is gone, and how both end.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { renderPrometheus } from '../../../proxy/telemetry/prometheus.ts';
import { TestAuthority } from '../../support/identities.ts';
import { answering, okResponse, openWire, type Wire } from '../../support/raw-http.ts';
import { change, inboundListener } from '../../support/worker.ts';
import { workerMesh, type WorkerMesh } from '../../support/worker-mesh.ts';
import { until } from './rig.ts';

const authority = new TestAuthority();
const POD_ADDRESS = '127.0.0.2';

function mesh(
  t: Test,
  mode: 'PERMISSIVE' | 'STRICT',
  onConnection: (wire: Wire) => void,
  expected = 'echo',
): Promise<WorkerMesh> {
  return workerMesh(t, { authority, podAddress: POD_ADDRESS, mode, expected }, onConnection);
}

t.test('the application learns its client from the certificate, never from the request', async (t) => {
  const m = await mesh(
    t,
    'STRICT',
    answering(() => okResponse('hi')),
  );
  const wire = await m.connect();
  wire.write(
    'GET / HTTP/1.1\r\nHost: echo\r\nX-Forwarded-Client-Cert: URI=spiffe://evil\r\nX_Forwarded_Client_Cert: 1\r\n\r\n',
  );
  await wire.includes('hi');
  const seen = m.app.connections[0]?.text ?? '';
  const own = authority.spiffeId('echo');
  const peer = authority.spiffeId('client');
  t.match(seen, new RegExp(`x-forwarded-client-cert: By=${own};URI=${peer}\r\n`));
  t.notMatch(seen, /evil|x_forwarded/i);
  t.match(seen, /traceparent: 00-/);
  t.match(
    renderPrometheus(m.server.registry),
    new RegExp(`direction="inbound".*connection_security="mutual_tls",peer="${peer}"`),
  );
});

t.test(
  'interim answers come through both sidecars, and a client that waits for 100 gets it from the application',
  async (t) => {
    const m = await mesh(t, 'STRICT', (wire) => {
      void wire.includes('\r\n\r\n').then(async (head) => {
        if (head.includes('GET ')) {
          wire.write(`HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n${okResponse('hi', 'connection: close\r\n')}`);
          return;
        }
        wire.write('HTTP/1.1 100 Continue\r\n\r\n');
        await wire.includes('body');
        wire.write(okResponse('taken'));
      });
    });
    const hinted = await m.connect();
    hinted.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
    t.match(
      await hinted.includes('hi'),
      /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
    );
    const waiting = await m.connect();
    waiting.write('POST / HTTP/1.1\r\nHost: echo\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    t.equal(await waiting.includes('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n');
    waiting.write('body');
    t.match(await waiting.includes('taken'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  },
);

t.test('a peer with another identity than the one named gets no request', async (t) => {
  const m = await mesh(
    t,
    'STRICT',
    answering(() => okResponse('hi')),
    'admin',
  );
  const wire = await m.connect();
  wire.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
  t.match(await wire.includes('tulle-reason'), /^HTTP\/1\.1 503[^]*tulle-reason: tls-failure/);
  t.equal(m.app.connections.length, 0);
});

t.test('STRICT lets no plaintext in, PERMISSIVE does, without an identity', async (t) => {
  const strict = await mesh(
    t,
    'STRICT',
    answering(() => okResponse('hi')),
  );
  const refused = await openWire(strict.app.port, POD_ADDRESS);
  refused.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
  t.notMatch(await refused.closed(), /HTTP\/1\.1 200/);
  t.equal(strict.app.connections.length, 0);
  const permissive = await mesh(
    t,
    'PERMISSIVE',
    answering(() => okResponse('hi')),
  );
  const plain = await openWire(permissive.app.port, POD_ADDRESS);
  plain.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
  await plain.includes('hi');
  t.notMatch(permissive.app.connections[0]?.text ?? '', /x-forwarded-client-cert/);
  plain.socket.destroy();
});

t.test('certificates of strangers are refused: another authority, no certificate, another trust domain', async (t) => {
  const m = await mesh(
    t,
    'PERMISSIVE',
    answering(() => okResponse('hi')),
  );
  const stranger = new TestAuthority().identity('client');
  const foreign = new TestAuthority('other.example').identity('client');
  for (const identity of [stranger, foreign, null]) {
    const socket = connect({
      host: POD_ADDRESS,
      port: m.app.port,
      rejectUnauthorized: false,
      ...(identity === null ? {} : { cert: identity.certChainPem, key: identity.privateKeyPem }),
    });
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.latin1Slice()));
    socket.on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    t.equal(received, '');
  }
  t.equal(m.app.connections.length, 0);
  t.match(renderPrometheus(m.server.registry), /tulle_handshakes_refused_total\{reason="handshake"\} 3/);
});

t.test('an application that is gone is told by its sidecar as a request that may be tried elsewhere', async (t) => {
  const m = await mesh(t, 'STRICT', () => undefined);
  m.app.close();
  const wire = await m.connect();
  wire.write('POST / HTTP/1.1\r\nHost: echo\r\nContent-Length: 0\r\n\r\n');
  t.match(await wire.includes('tulle-reason'), /^HTTP\/1\.1 503[^]*tulle-reason: connect-failure/);
  t.match(renderPrometheus(m.client.registry), /tulle_retries_total\{[^}]*\} 2/);
});

t.test('an application cannot speak in the name of the sidecar', async (t) => {
  const m = await mesh(
    t,
    'STRICT',
    answering(() => okResponse('x', 'Tulle-Reason: connect-failure\r\n')),
  );
  const wire = await m.connect();
  wire.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
  t.notMatch(await wire.until((text) => text.endsWith('\r\n\r\nx')), /tulle-reason/);
});

t.test('new certificates are in force for the next connection, standing ones go on', async (t) => {
  const m = await mesh(
    t,
    'STRICT',
    answering(() => okResponse('hi')),
  );
  const wire = await m.connect();
  wire.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
  await wire.includes('hi');
  m.server.worker.receive({ kind: 'identity', identity: authority.identity('echo') });
  m.client.worker.receive({ kind: 'identity', identity: authority.identity('client') });
  wire.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
  await wire.until((text) => text.split('hi').length === 3);
  t.equal(m.app.connections.length, 1);
});

t.test('a draining inbound side finishes what is under way, says close, and takes no more', async (t) => {
  const waiting: Wire[] = [];
  const m = await mesh(t, 'PERMISSIVE', (wire) => waiting.push(wire));
  const wire = await openWire(m.app.port, POD_ADDRESS);
  wire.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
  await until(() => waiting[0]?.text.includes('\r\n\r\n') ?? false, 'the request at the application');
  m.server.worker.receive({ kind: 'drain', direction: 'inbound', deadlineMs: 5000 });
  t.notOk(m.server.messages.some((message) => message.kind === 'drained'));
  waiting[0]?.write(okResponse('last'));
  const text = await wire.closed();
  t.match(text, /^HTTP\/1\.1 200 [^]*connection: close[^]*last$/);
  await m.server.message((message) => message.kind === 'drained' && message.direction === 'inbound');
  await t.rejects(openWire(m.app.port, POD_ADDRESS));
});

t.test('a draining outbound side serves its application as before until that has ended', async (t) => {
  const m = await mesh(
    t,
    'STRICT',
    answering(() => okResponse('hi')),
  );
  const application = createServer().listen(0, '127.0.0.1');
  await once(application, 'listening');
  const { port } = application.address() as AddressInfo;
  m.client.apply(change({ listeners: new Map([['inbound', inboundListener(port, 'STRICT')]]) }));
  const drained = m.client.message((message) => message.kind === 'drained');
  const before = await m.connect();
  m.client.worker.receive({ kind: 'drain', direction: 'outbound', deadlineMs: 60_000 });
  const after = await m.connect();
  for (const wire of [before, after]) {
    wire.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
    t.notMatch(await wire.includes('hi'), /connection: close/i);
    wire.socket.destroy();
  }
  // Quiet, but its port is open: asked once, it is still there.
  await once(application, 'connection');
  t.notOk(m.client.messages.some((message) => message.kind === 'drained'));
  application.close();
  await drained;
  await t.rejects(m.connect());
});

t.test('a drain that takes too long is ended at its deadline', async (t) => {
  const m = await mesh(t, 'STRICT', () => undefined);
  const wire = await m.connect();
  wire.write('GET / HTTP/1.1\r\nHost: echo\r\n\r\n');
  await m.client.message((message) => message.kind === 'want');
  m.client.worker.receive({ kind: 'drain', direction: 'outbound', deadlineMs: 50 });
  await m.client.message((message) => message.kind === 'drained');
  await wire.closed();
  t.pass('the connection was closed');
});
