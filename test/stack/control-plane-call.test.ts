/** Calls of a sidecar to a control plane that is not as it should be: each failure is told once, with its reason. Real TLS, servers of others. */
import { createServer as createTcp, type AddressInfo, type Server as TcpServer } from 'node:net';
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream, type Settings } from 'node:http2';
import t, { type Test } from 'tap';
import { systemClock, type Clock } from '../../base/clock.ts';
import { FakeClock } from '../../base/fake-clock.ts';
import { readAccess, type Access } from '../../proxy/supervisor/rpc/access.ts';
import { Call } from '../../proxy/supervisor/rpc/call.ts';
import { frameMessage } from '../../proxy/supervisor/rpc/messages.ts';
import { testAuthority } from '../support/fake-control-plane.ts';
import { freePort } from '../support/ports.ts';

const AUTHORITY = testAuthority(systemClock);
const PATH = '/tulle.test/Ask';

interface Outcome {
  readonly ups: number;
  readonly messages: readonly string[];
  readonly failure: string;
}

async function listen(t: Test, server: TcpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A server that does with each call as told. */
async function serving(
  t: Test,
  onStream: (stream: ServerHttp2Stream, fields: IncomingHttpHeaders) => void,
  name = 'localhost',
  settings: Settings = {},
): Promise<number> {
  const { keyPem: key, chainPem: cert } = AUTHORITY.issueServer([name], ['127.0.0.1'], 3_600_000);
  const server = createSecureServer({ key, cert, settings });
  server.on('stream', (stream: ServerHttp2Stream, fields: IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    onStream(stream, fields);
  });
  return listen(t, server);
}

function accessTo(
  port: number,
  serverName = 'localhost',
  ca = AUTHORITY.trustBundle,
  { token = 'secret\n', clock = systemClock }: { readonly token?: string; readonly clock?: Clock } = {},
): Promise<Access> {
  const address = { address: '127.0.0.1', port, serverName, caFile: 'ca', tokenFile: 'token' };
  return readAccess(address, (path) => Promise.resolve(path === 'ca' ? ca : token), clock);
}

async function ask(port: number, serverName?: string, ca?: string): Promise<Outcome> {
  const access = await accessTo(port, serverName, ca);
  return new Promise((resolve) => {
    const messages: string[] = [];
    let ups = 0;
    const call = new Call(
      access,
      PATH,
      {
        onUp: () => void ups++,
        onMessage: (message) => messages.push(message.toString()),
        onOver: (failure) => resolve({ ups, messages, failure }),
      },
      systemClock,
    );
    call.send(Buffer.from('question'));
    call.end();
  });
}

const GRPC = { ':status': 200, 'content-type': 'application/grpc' };

function answers(status: Readonly<Record<string, string>>, ...bytes: readonly Uint8Array[]) {
  return (stream: ServerHttp2Stream): void => {
    stream.respond(GRPC, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(status));
    for (const piece of bytes) stream.write(piece);
    stream.resume();
    stream.end();
  };
}

t.test('a call carries its token and its message there, and messages and status back', async (t) => {
  const seen: unknown[] = [];
  const port = await serving(t, (stream, { authorization, te, ':path': path }) => {
    seen.push(path, te, authorization);
    stream.once('data', (bytes: Buffer) => seen.push(bytes.toString('latin1')));
    answers({ 'grpc-status': '0' }, frameMessage(Buffer.from('one')), frameMessage(Buffer.from('two')))(stream);
  });
  t.same(await ask(port), { ups: 1, messages: ['one', 'two'], failure: '' });
  t.same(seen, [PATH, 'trailers', 'Bearer secret', '\0\0\0\0\bquestion']);
});

t.test('the status of the call, or of HTTP, is the reason', async (t) => {
  const refused = await serving(t, answers({ 'grpc-status': '16', 'grpc-message': 'the token is 100%25 old' }));
  t.equal((await ask(refused)).failure, 'grpc-status 16: the token is 100% old');
  const misspelt = await serving(t, answers({ 'grpc-status': '7', 'grpc-message': '100%' }));
  t.equal((await ask(misspelt)).failure, 'grpc-status 7: 100%');
  const trailersOnly = await serving(t, (stream) =>
    stream.respond({ ...GRPC, 'grpc-status': '12' }, { endStream: true }),
  );
  t.equal((await ask(trailersOnly)).failure, 'grpc-status 12: no reason given');
  const none = await serving(t, answers({}));
  t.equal((await ask(none)).failure, 'grpc-status 2: no reason given');
  const busy = await serving(t, (stream) => stream.respond({ ':status': 503 }, { endStream: true }));
  t.equal((await ask(busy)).failure, 'grpc-status 14: HTTP status 503');
});

t.test('messages that are none end the call', async (t) => {
  const large = await serving(t, answers({ 'grpc-status': '0' }, Buffer.from([0, 2, 0, 0, 0])));
  t.match((await ask(large)).failure, /a message of 33554432 bytes, where 16777216 are the most/);
  const cut = await serving(t, answers({ 'grpc-status': '0' }, Buffer.from([0, 0, 0, 0, 9, 1])));
  t.equal((await ask(cut)).failure, 'the call ended within a message');
  const reset = await serving(t, (stream) => stream.close(2));
  t.match((await ask(reset)).failure, /reset the stream: INTERNAL_ERROR/);
  const gone = await serving(t, (stream) => stream.session?.destroy());
  t.match((await ask(gone)).failure, /closed|ECONNRESET/);
});

t.test('a server that is not there, or not the one that was meant, is not spoken to', async (t) => {
  t.equal((await ask(await freePort())).failure, 'connect-failure: ECONNREFUSED');
  const told: string[] = [];
  const other = await serving(t, () => told.push('spoken to'), 'other');
  t.equal((await ask(other)).failure, 'tls-failure: ERR_TLS_CERT_ALTNAME_INVALID');
  t.equal((await ask(other, '127.0.0.2')).failure, 'tls-failure: ERR_TLS_CERT_ALTNAME_INVALID');
  const stranger = testAuthority(systemClock).trustBundle;
  t.match((await ask(other, 'other', stranger)).failure, /^tls-failure: /);
  t.same(told, []);
  const byAddress = await serving(t, answers({ 'grpc-status': '0' }), 'other');
  t.equal((await ask(byAddress, '127.0.0.1')).failure, '', 'an address in the certificate is as good as a name');
});

t.test('a token file that holds no token is no reason to connect', async (t) => {
  for (const token of ['', ' \n', 'two lines\nof text', 'caf\u00e9'])
    await t.rejects(accessTo(1, undefined, undefined, { token }), { message: /token holds no token/ });
});

t.test('a server that takes the connection and says nothing is given up after ten seconds', async (t) => {
  const port = await listen(
    t,
    createTcp((socket) => t.teardown(() => socket.destroy())),
  );
  const clock = new FakeClock();
  const access = await accessTo(port, undefined, undefined, { clock });
  const told: string[] = [];
  const call = new Call(
    access,
    PATH,
    { onUp: () => told.push('up'), onMessage: () => undefined, onOver: (failure) => told.push(failure) },
    clock,
  );
  clock.advance(9_999);
  t.same(told, []);
  clock.advance(2);
  t.same(told, ['no connection in time']);
  call.cancel();
  clock.advance(60_000);
  t.same([told.length, clock.size], [1, 0], 'and leaves no timer');
});

t.test('a server that takes one call at a time is up with its first word, or within ten seconds', async (t) => {
  const one = { maxConcurrentStreams: 1 };
  const port = await serving(t, answers({ 'grpc-status': '0' }, frameMessage(Buffer.from('hello'))), 'localhost', one);
  t.same(await ask(port), { ups: 1, messages: ['hello'], failure: '' });
  const asked = Promise.withResolvers<void>();
  const silent = await serving(
    t,
    ({ session }) => {
      // The client has read the settings when it has acknowledged them.
      if (session?.pendingSettingsAck === true) session.once('localSettings', () => asked.resolve());
      else asked.resolve();
    },
    'localhost',
    one,
  );
  const clock = new FakeClock();
  const told: string[] = [];
  const call = new Call(
    await accessTo(silent, undefined, undefined, { clock }),
    PATH,
    { onUp: () => told.push('up'), onMessage: () => undefined, onOver: (failure) => told.push(failure) },
    clock,
  );
  await asked.promise;
  clock.advance(10_001);
  t.same(told, ['up']);
  call.cancel();
});

t.test('a call that was given up tells nothing any more', async (t) => {
  const port = await serving(t, answers({ 'grpc-status': '0' }, frameMessage(Buffer.from('late'))));
  const access = await accessTo(port);
  const told: string[] = [];
  await new Promise<void>((resolve) => {
    const call: Call = new Call(
      access,
      PATH,
      {
        onUp: () => {
          call.cancel();
          // A whole call on the same port takes longer than what was under way.
          void ask(port).then(() => resolve());
        },
        onMessage: () => told.push('message'),
        onOver: () => told.push('over'),
      },
      systemClock,
    );
    call.send(Buffer.from('question'));
  });
  t.same(told, []);
});
