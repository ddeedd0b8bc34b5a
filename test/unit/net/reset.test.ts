/** Resets on real sockets: one on each kind, and one that comes while the end is on its way. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import { carriesTls, resetSocket } from '../../../proxy/net/reset.ts';
import { TestAuthority } from '../../support/identities.ts';

interface Pair {
  /** The accepted side; with TLS over it, what is under that. */
  readonly accepted: Socket;
  readonly secure: Socket;
  readonly client: Socket;
}

async function pair(t: Test, withTls: boolean): Promise<Pair> {
  const { certChainPem: cert, privateKeyPem: key } = new TestAuthority().identity('application');
  const options = { cert, key, allowHalfOpen: true };
  const server = withTls ? createTlsServer(options, carriesTls) : createServer({ allowHalfOpen: true });
  const accepted = once(server, 'connection');
  const secure = once(server, withTls ? 'secureConnection' : 'connection');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const at = { host: '127.0.0.1', port, allowHalfOpen: true };
  const client = withTls ? connectTls({ ...at, rejectUnauthorized: false }) : connect(at);
  await once(client, withTls ? 'secureConnect' : 'connect');
  const [below] = (await accepted) as [Socket];
  const [above] = (await secure) as [Socket];
  for (const socket of [below, above, client]) socket.on('error', () => undefined);
  // Both directions have been used: what a handshake still has to say comes before.
  above.write('a');
  await once(client, 'data');
  client.write('b');
  await once(above, 'data');
  t.teardown(() => {
    client.destroy();
    server.close();
  });
  return { accepted: below, secure: above, client };
}

for (const withTls of [false, true]) {
  const kind = withTls ? 'a TLS' : 'a plain';
  t.test(`${kind} socket is reset from either side`, async (t) => {
    const one = await pair(t, withTls);
    const heard = once(one.client, 'error');
    resetSocket(one.secure);
    one.client.resume();
    const [error] = (await heard.catch((reason: unknown) => [reason])) as [NodeJS.ErrnoException];
    t.equal(error.code, 'ECONNRESET');
    const two = await pair(t, withTls);
    const heard2 = once(two.secure, 'error');
    resetSocket(two.client);
    two.secure.resume();
    const [error2] = (await heard2.catch((reason: unknown) => [reason])) as [NodeJS.ErrnoException];
    t.equal(error2.code, 'ECONNRESET');
  });

  t.test(`${kind} socket whose end is on its way is closed all the same`, async (t) => {
    for (const side of ['secure', 'accepted', 'client'] as const) {
      const ends = await pair(t, withTls);
      const closing = side === 'accepted' ? ends.secure : ends[side];
      const closed = once(closing, 'close');
      closing.write('last words');
      await new Promise((resolve) => setImmediate(resolve));
      closing.end();
      await new Promise<void>((resolve) => process.nextTick(resolve));
      resetSocket(ends[side]);
      await closed;
      t.ok(closing.destroyed, side);
    }
  });
}

t.test('TLS is reset in the moment in which its handshake has ended', async (t) => {
  const { certChainPem: cert, privateKeyPem: key } = new TestAuthority().identity('application');
  const server = createTlsServer({ cert, key }, (socket) => resetSocket(socket.on('error', () => undefined)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
  t.equal(error.code, 'ECONNRESET', 'and the process lives');
  server.close();
});
