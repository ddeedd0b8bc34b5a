/** Reads of accepted connections, plain and through TLS: where their bytes lie, in which order they come, and that a pause holds. */
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import { takeReads } from '../../../proxy/net/reads.ts';
import { TestAuthority } from '../../support/identities.ts';

/** An accepted connection and the client of it. */
async function accept(t: Test, withTls: boolean): Promise<{ accepted: Socket; client: Socket }> {
  const { certChainPem: cert, privateKeyPem: key } = new TestAuthority().identity('application');
  const server = withTls ? createTlsServer({ cert, key }) : createServer();
  const arrived = once(server, withTls ? 'secureConnection' : 'connection');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = withTls
    ? connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false })
    : connect(port, '127.0.0.1');
  const [accepted] = (await arrived) as [Socket];
  t.teardown(() => {
    client.destroy();
    server.close();
  });
  return { accepted, client };
}

class Got {
  text = '';
  readonly #news = new EventEmitter();

  constructor(socket: Socket) {
    takeReads(socket, (chunk) => {
      this.text += chunk.toString('latin1');
      this.#news.emit('more');
    });
  }

  /** Resolves when as much has come. */
  async until(length: number): Promise<void> {
    while (this.text.length < length) await once(this.#news, 'more');
  }
}

for (const withTls of [false, true]) {
  const kind = withTls ? 'a TLS' : 'a plain';

  t.test(`${kind} connection reads into the one buffer of all`, async (t) => {
    const memory: ArrayBufferLike[] = [];
    for (let i = 0; i < 2; i++) {
      const { accepted, client } = await accept(t, withTls);
      const read = new Promise<void>((resolve) => {
        takeReads(accepted, (chunk) => {
          memory.push(chunk.buffer);
          resolve();
        });
      });
      client.write('x');
      await read;
    }
    t.equal(memory[0], memory[1]);
    t.equal(memory[0]?.byteLength, 65_536);
  });

  t.test(`${kind} connection gives the bytes first that were put back, and later ones in order`, async (t) => {
    const { accepted, client } = await accept(t, withTls);
    client.write('first ');
    const [first] = (await once(accepted, 'data')) as [Buffer];
    accepted.pause();
    accepted.unshift(first);
    // What comes now is read by the stream that is paused, or stays with the kernel.
    client.write('second ');
    await new Promise((resolve) => setImmediate(resolve));
    const got = new Got(accepted);
    client.write('third ');
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(got.text, '', 'it is paused as before');
    accepted.resume();
    await got.until(18);
    accepted.pause();
    client.write('fourth');
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.equal(got.text, 'first second third ', 'a pause holds');
    accepted.resume();
    await got.until(24);
    t.equal(got.text, 'first second third fourth');
  });

  t.test(`${kind} connection tells its end after its bytes`, async (t) => {
    const { accepted, client } = await accept(t, withTls);
    const got = new Got(accepted);
    client.end('whole');
    await once(accepted, 'end');
    t.equal(got.text, 'whole');
  });
}
