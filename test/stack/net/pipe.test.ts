/** Bytes between two connections: in order, none twice and none lost, whoever is slow and however it ends. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { pipe, type PipeEnd } from '../../../proxy/net/pipe.ts';

/** Two ends with a pipe between what they are connected to. */
async function joined(t: Test): Promise<{ left: Socket; right: Socket; ended: Promise<PipeEnd> }> {
  const accepted: Socket[] = [];
  const server = createServer({ allowHalfOpen: true });
  const both = new Promise<void>((resolve) => {
    server.on('connection', (socket) => {
      if (accepted.push(socket) === 2) resolve();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const open = async (): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return socket;
  };
  const left = await open();
  const right = await open();
  await both;
  const [a, b] = accepted as [Socket, Socket];
  const ended = new Promise<PipeEnd>((resolve) => pipe(a, b, null, resolve));
  t.teardown(() => {
    left.destroy();
    right.destroy();
    server.close();
  });
  return { left, right, ended };
}

/** Bytes that tell their place: none can be another's. */
function numbered(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 4 <= sizeBytes; at += 4) bytes.writeUInt32BE(at, at);
  return bytes;
}

async function digestOf(socket: Socket): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of socket) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

t.test('a slow reader gets every byte in its place, with other connections through the same buffers', async (t) => {
  const bytes = numbered(8 * 1024 * 1024);
  const expected = createHash('sha256').update(bytes).digest('hex');
  const pairs = await Promise.all([joined(t), joined(t), joined(t)]);
  for (const { left } of pairs) left.end(bytes);
  const [slow, ...quick] = pairs.map(({ right }) => right);
  // All of the others goes through while the first one takes nothing.
  for (const digest of await Promise.all(quick.map(digestOf))) t.equal(digest, expected);
  t.equal(await digestOf(slow as Socket), expected);
});

t.test('pieces of every size around a full buffer arrive whole', async (t) => {
  for (const size of [1, 8191, 8192, 8193, 65_535, 65_536, 65_537, 131_073]) {
    const { left, right, ended } = await joined(t);
    const bytes = numbered(size);
    left.end(bytes);
    right.end();
    t.equal(await digestOf(right), createHash('sha256').update(bytes).digest('hex'), `${size} bytes`);
    left.resume();
    t.match(await ended, { sent: size, received: 0, error: '' });
  }
});

t.test('a few bytes do not wait for more', async (t) => {
  const { left, right } = await joined(t);
  for (let i = 0; i < 50; i++) {
    left.write('?');
    await once(right, 'data');
    right.write('!');
    await once(left, 'data');
  }
  t.equal(right.bytesRead, 50);
});

t.test('a reset of one end is a reset of the other', async (t) => {
  const { left, right, ended } = await joined(t);
  left.write('last words');
  await once(right, 'data');
  left.resetAndDestroy();
  const [error] = (await once(right, 'error')) as [NodeJS.ErrnoException];
  t.equal(error.code, 'ECONNRESET');
  t.match(await ended, { sent: 10, error: 'ECONNRESET' });
});
