/** ClientHellos of a real TLS library and of nobody, whole and in pieces. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';
import t from 'tap';
import { seededRandom } from '#base/random.ts';
import { isMeshHello, MAX_HELLO_BYTES, readClientHello } from '../../../proxy/net/client-hello.ts';

/** The first flight of Node's own client with these options. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ ...options, host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  client.on('error', () => undefined);
  const [socket] = await once(server, 'connection');
  const [bytes] = await once(socket, 'data');
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** A hello again, its message cut into records of `sizeBytes`. */
function inRecords(hello: Buffer, sizeBytes: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += sizeBytes) {
    const part = message.subarray(at, at + sizeBytes);
    records.push(Buffer.from([0x16, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

t.test('name and protocols are read, in every cut and every division into records', async (t) => {
  const whole = await helloOf({ servername: 'DB.Shop.example', ALPNProtocols: ['tulle', 'postgresql'] });
  const expected = { serverName: 'db.shop.example', alpn: ['tulle', 'postgresql'] };
  for (const hello of [whole, inRecords(whole, 1), inRecords(whole, 3), inRecords(whole, 200)]) {
    t.same(readClientHello(hello), expected);
    const early = [...hello.keys()].map((length) => readClientHello(hello.subarray(0, length)));
    t.ok(
      early.every((read) => read === 'more'),
      'no cut is taken for something else',
    );
    t.same(readClientHello(Buffer.concat([hello, Buffer.from([0x17, 3, 3, 0, 1, 0])])), expected, 'with early data');
  }
  t.ok(isMeshHello(expected));
});

t.test('a client without name and protocols has none, and is not of the mesh', async (t) => {
  const read = readClientHello(await helloOf({ servername: '', maxVersion: 'TLSv1.2' }));
  t.same(read, { serverName: '', alpn: [] });
  t.notOk(read !== null && read !== 'more' && isMeshHello(read));
  t.same(
    readClientHello(
      Buffer.from(`160301002d01000029 0303${'00'.repeat(32)}00 0002c02f 0100`.replaceAll(' ', ''), 'hex'),
    ),
    {
      serverName: '',
      alpn: [],
    },
  );
});

t.test('what is no hello, or longer than the bound, is not waited for', async (t) => {
  const hello = await helloOf({ servername: 'a.example' });
  const cases: Readonly<Record<string, Buffer>> = {
    'another record': Buffer.from([0x17, 3, 3]),
    'another version': Buffer.from([0x16, 2]),
    'an empty record': Buffer.from([0x16, 3, 1, 0, 0]),
    'a record that is too long': Buffer.from([0x16, 3, 1, 0xff, 0xff]),
    'another message': Buffer.from([0x16, 3, 1, 0, 4, 2, 0, 0, 0]),
    'a message that is too long': Buffer.from([0x16, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]),
    'another record in between': Buffer.concat([inRecords(hello, 10).subarray(0, 30), Buffer.from([0x17, 3, 3])]),
    'nothing but headers': inRecords(
      Buffer.concat([hello.subarray(0, 6), Buffer.from([0, 0x3f, 0]), Buffer.alloc(MAX_HELLO_BYTES)]),
      1,
    ),
  };
  for (const [name, bytes] of Object.entries(cases)) t.equal(readClientHello(bytes), null, name);
});

t.test('no change of a byte makes it throw', async (t) => {
  const hello = await helloOf({ servername: 'a.example', ALPNProtocols: ['h2'] });
  const random = seededRandom(7);
  for (let i = 0; i < 20_000; i++) {
    const changed = Buffer.from(hello);
    for (let n = 0; n <= i % 3; n++) changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256);
    readClientHello(changed);
  }
  t.pass();
});
