/** Messages of a gRPC call: cut anywhere, too long, compressed. */
import t from 'tap';
import { frameMessage, MessageReader } from '../../../proxy/supervisor/rpc/messages.ts';

const MESSAGES = ['', 'a', 'hello', 'x'.repeat(300)];
const BYTES = Buffer.concat(MESSAGES.map((text) => frameMessage(Buffer.from(text))));

function reader(maxBytes = 1000): { readonly read: MessageReader; readonly got: string[] } {
  const got: string[] = [];
  return { read: new MessageReader(maxBytes, (message) => got.push(message.toString())), got };
}

t.test('messages come out whole wherever their bytes were cut', async (t) => {
  for (let cut = 0; cut <= BYTES.length; cut++) {
    const { read, got } = reader();
    t.equal(read.read(BYTES, 0, cut) + read.read(BYTES, cut, BYTES.length), '');
    t.same(got, MESSAGES);
    t.ok(read.isBetween);
  }
  const { read, got } = reader();
  for (let i = 0; i < BYTES.length; i++) read.read(BYTES, i, i + 1);
  t.same(got, MESSAGES, 'byte by byte');
});

t.test('a message is its owner’s: what its bytes came in may be used again', async (t) => {
  const { read, got } = reader();
  const chunk = frameMessage(Buffer.from('hello'));
  read.read(chunk, 0, 7);
  chunk.fill(0, 0, 7);
  read.read(chunk, 7, chunk.length);
  t.same(got, ['hello']);
});

t.test('what is too long or compressed is refused at its first five bytes', async (t) => {
  t.equal(reader(4).read.read(frameMessage(Buffer.from('hello')), 0, 5), 'a message of 5 bytes, where 4 are the most');
  t.equal(reader(5).read.read(frameMessage(Buffer.from('hello')), 0, 5), '');
  t.match(reader().read.read(Buffer.from([1, 0, 0, 0, 1]), 0, 5), /compressed/);
});

t.test('an end within a message is seen', async (t) => {
  for (const cut of [1, 4, 5, 9]) {
    const { read } = reader();
    read.read(frameMessage(Buffer.from('hello')), 0, cut);
    t.notOk(read.isBetween, `after ${cut} bytes`);
  }
});
