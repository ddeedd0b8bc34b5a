/**
 * Mutual TLS where it can go wrong: cut-off answers, broken and slow handshakes, certificates that change under load, trust that moves.
 */
import { connect as connectTcp } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import type { IdentityMaterial } from '../../../proxy/worker/messages.ts';
import { TestAuthority } from '../../support/identities.ts';
import { answering, okResponse, openWire, rawUpstream, type Wire } from '../../support/raw-http.ts';
import { change, endpoint } from '../../support/worker.ts';
import { workerMesh, type WorkerMesh } from '../../support/worker-mesh.ts';
import { GET, until } from './rig.ts';

const POD_ADDRESS = '127.0.0.3';
const authority = new TestAuthority();

function mesh(t: Test, onConnection: (wire: Wire) => void): Promise<WorkerMesh> {
  return workerMesh(t, { authority, podAddress: POD_ADDRESS, mode: 'PERMISSIVE' }, onConnection);
}

/** What a TLS client gets for one request; empty when it is not let in. */
async function ask(
  m: WorkerMesh,
  identity: IdentityMaterial,
  session?: Buffer,
): Promise<{ text: string; reused: boolean }> {
  const socket: TLSSocket = connect({
    host: POD_ADDRESS,
    port: m.app.port,
    rejectUnauthorized: false,
    cert: identity.certChainPem,
    key: identity.privateKeyPem,
    ...(session === undefined ? {} : { session }),
  });
  let text = '';
  let reused = false;
  socket.on('secureConnect', () => (reused = socket.isSessionReused()));
  socket.on('data', (chunk: Buffer) => (text += chunk.latin1Slice()));
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  await new Promise((resolve) => socket.once('close', resolve));
  return { text, reused };
}

t.test('an answer that the application cuts off is cut off through mutual TLS, and nothing else ends', async (t) => {
  let cut = true;
  const m = await mesh(t, (wire) => {
    wire.socket.on('data', () => {
      if (!cut) wire.write(okResponse('whole'));
      else {
        wire.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
        setImmediate(() => wire.socket.resetAndDestroy());
      }
    });
  });
  const one = await m.connect();
  one.write(GET);
  t.notMatch(await one.closed(), /\r\n0\r\n/);
  cut = false;
  const two = await m.connect();
  two.write(GET);
  t.match(await two.includes('whole'), /^HTTP\/1\.1 200/);
});

t.test('handshakes that are broken, slow or abandoned cost their connection only', async (t) => {
  const m = await mesh(
    t,
    answering(() => okResponse('hi')),
  );
  const broken = await openWire(m.app.port, POD_ADDRESS);
  broken.write('\x16\x03GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  t.notMatch(await broken.closed(), /HTTP/);
  const abandoned = await openWire(m.app.port, POD_ADDRESS);
  abandoned.write('\x16\x03\x01');
  abandoned.socket.resetAndDestroy();
  // A client hello in single bytes is a client hello.
  const through = connectTcp({ port: m.app.port, host: POD_ADDRESS, noDelay: true });
  const identity = authority.identity('client');
  const relay = await rawUpstream((wire) => {
    wire.socket.removeAllListeners('data');
    wire.socket.on('data', (chunk: Buffer) => {
      for (const byte of chunk) through.write(Buffer.of(byte));
    });
    through.on('data', (chunk: Buffer) => wire.socket.write(chunk));
  });
  const slow = connect({
    port: relay.port,
    rejectUnauthorized: false,
    cert: identity.certChainPem,
    key: identity.privateKeyPem,
  });
  let text = '';
  slow.on('data', (chunk: Buffer) => (text += chunk.latin1Slice()));
  slow.write(GET);
  await until(() => text.includes('hi'), 'the slow client is served');
  slow.destroy();
  through.destroy();
  relay.close();
  t.match((await ask(m, identity)).text, /hi$/);
});

t.test('no session is resumed', async (t) => {
  const m = await mesh(
    t,
    answering(() => okResponse('hi')),
  );
  const identity = authority.identity('client');
  const first = connect({
    host: POD_ADDRESS,
    port: m.app.port,
    rejectUnauthorized: false,
    cert: identity.certChainPem,
    key: identity.privateKeyPem,
  });
  let session: Buffer | undefined;
  first.on('session', (ticket: Buffer) => (session = ticket));
  first.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  first.resume();
  await new Promise((resolve) => first.once('close', resolve));
  const again = await ask(m, identity, session);
  t.same({ reused: again.reused, served: again.text.endsWith('hi') }, { reused: false, served: true });
});

t.test('a hundred new certificates while fifty connections send cost no request', async (t) => {
  const m = await mesh(
    t,
    answering(() => okResponse('hi')),
  );
  const pairs = Array.from({ length: 4 }, () => [authority.identity('echo'), authority.identity('client')] as const);
  let failed = 0;
  let served = 0;
  const stop = new AbortController();
  const load = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const wire = await openWire(await m.client.port('echo:80'));
      wire.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      if ((await wire.closed()).startsWith('HTTP/1.1 200')) served++;
      else failed++;
      wire.socket.destroy();
    }
  };
  const loads = Array.from({ length: 50 }, load);
  for (let i = 0; i < 100; i++) {
    const [echo, client] = pairs[i % pairs.length] ?? [authority.identity('echo'), authority.identity('client')];
    m.server.worker.receive({ kind: 'identity', identity: echo });
    m.client.worker.receive({ kind: 'identity', identity: client });
    // Endpoints that come anew have no connection yet: handshakes happen all the time.
    const meshed = endpoint(m.app.port, { address: POD_ADDRESS, mtls: true, identity: authority.spiffeId('echo') });
    const workload = { namespace: 'default', owner: 'echo', pod: `pod-${i}` };
    const endpoints = [{ ...meshed, workload }];
    m.client.apply(change({ endpoints: new Map([['echo:80', { cluster: 'echo:80', endpoints }]]) }));
    const before = served;
    await until(() => served > before + 2 || failed > 0, 'load goes on');
  }
  stop.abort();
  await Promise.all(loads);
  t.equal(failed, 0);
});

t.test('trust that moves from one authority to another refuses the first at the next handshake', async (t) => {
  const m = await mesh(
    t,
    answering(() => okResponse('hi')),
  );
  const next = new TestAuthority();
  const [old, young] = [authority.identity('client'), next.identity('client')];
  const both = [...authority.trust.rootsPem, ...next.trust.rootsPem];
  const seen: boolean[][] = [];
  for (const rootsPem of [authority.trust.rootsPem, both, next.trust.rootsPem, ['nonsense']]) {
    m.server.apply(change({ trust: { rootsPem } }));
    seen.push([(await ask(m, old)).text !== '', (await ask(m, young)).text !== '']);
  }
  // Roots that cannot be read change nothing.
  t.same(seen, [
    [true, false],
    [true, true],
    [false, true],
    [false, true],
  ]);
});
