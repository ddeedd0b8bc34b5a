/**
 * HTTP/1.1 through a worker: what goes in comes out, for every form of message; what is broken is answered or cut, never passed on.
 */
import t, { type Test } from 'tap';
import { answering, okResponse, openWire, rawUpstream, type RawUpstream, type Wire } from '../../support/raw-http.ts';
import { change, cluster, destination, endpoint, startWorker, table, type TestWorker } from '../../support/worker.ts';

interface Rig {
  readonly upstream: RawUpstream;
  readonly worker: TestWorker;
  readonly client: Wire;
}

async function rig(t: Test, onConnection: (wire: Wire, index: number) => void): Promise<Rig> {
  const upstream = await rawUpstream(onConnection);
  const answer = destination('echo:80', cluster('echo:80', [endpoint(upstream.port)]));
  const worker = await startWorker(
    { explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port: 0 }] },
    new Map([['echo:80', answer]]),
  );
  const client = await openWire(await worker.port('echo:80'));
  t.teardown(async () => {
    client.socket.destroy();
    upstream.close();
    await worker.close();
  });
  return { upstream, worker, client };
}

t.test('a pipelined pair is answered in order, on one upstream connection', async (t) => {
  const { upstream, client } = await rig(
    t,
    answering((head) => okResponse(head.split(' ')[1] ?? '')),
  );
  client.write('GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n');
  const text = await client.includes('/two');
  t.ok(text.indexOf('/one') < text.indexOf('/two'));
  t.equal(upstream.connections.length, 1);
});

t.test('a chunked body of many pieces arrives whole, with its trailers, and no chunk extension', async (t) => {
  const { upstream, client } = await rig(t, () => undefined);
  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n');
  client.write('6\r\n world\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n');
  await t.resolves(waitFor(() => upstream.connections[0]?.text.includes('x-sum: 1') === true, client));
  const seen = upstream.connections[0]?.text ?? '';
  t.match(seen, /transfer-encoding: chunked/);
  t.notMatch(seen, /ext=1/);
  t.notMatch(seen.toLowerCase(), /content-length/);
  t.match(seen, / world/);
});

t.test('answers without body have none, whatever the upstream sends after them', async (t) => {
  const { upstream, client } = await rig(t, (wire, index) => {
    if (index === 0) answering(() => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nEXTRA')(wire);
    else answering(() => okResponse('second'))(wire);
  });
  client.write('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  const head = await client.includes('\r\n\r\n');
  t.match(head, /content-length: 5/);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const all = await client.includes('second');
  t.notMatch(all, /EXTRA/);
  t.equal(upstream.connections.length, 2, 'a connection with bytes nobody asked for is not used again');
});

t.test('HEAD gets no body, not even with an answer of our own or a chunked resource', async (t) => {
  const { worker, client } = await rig(
    t,
    answering(() => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
  );
  client.write('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  const chunked = await client.includes('\r\n\r\n');
  t.notMatch(chunked, /content-length: 0/);
  worker.apply(change({ routes: new Map([['echo:80', table('echo:80', [])]]) }));
  const before = client.text.length;
  client.write('HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const text = (await client.until((all) => all.endsWith('no route matches\n'))).slice(before);
  t.match(text, /^HTTP\/1\.1 404 Not Found\r\ncontent-length: 27\r\n(?:[a-z-]+: [^\r]*\r\n)+\r\nHTTP\/1\.1 404/);
});

t.test('an answer cut off by the upstream is cut off for the client', async (t) => {
  const { client } = await rig(t, (wire) => {
    wire.socket.once('data', () => {
      wire.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      wire.socket.end();
    });
  });
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const text = await client.closed();
  t.match(text, /^HTTP\/1\.1 200/);
  t.notOk(text.endsWith('0\r\n\r\n'), 'no clean end');
});

t.test('an HTTP/1.0 client gets a body that ends with the connection', async (t) => {
  const { client } = await rig(
    t,
    answering(() => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
  );
  client.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
  const text = await client.closed();
  t.notMatch(text, /transfer-encoding/i);
  t.ok(text.endsWith('hello'));
});

t.test('interim answers pass; an unasked 101 does not', async (t) => {
  const { client } = await rig(t, (wire, index) => {
    const first = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' + okResponse('done');
    const second = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';
    answering((_head, request) => (index === 0 && request === 0 ? first : second))(wire);
  });
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const text = await client.includes('done');
  t.match(text, /^HTTP\/1\.1 103/);
  client.write('GET /up HTTP/1.1\r\nHost: a\r\n\r\n');
  t.match(await client.includes('tulle-reason'), /HTTP\/1\.1 502[^]*tulle-reason: upstream-protocol-error/);
});

t.test("Expect: 100-continue is the upstream's to answer", async (t) => {
  const { upstream, client } = await rig(t, (wire) => {
    wire.socket.once('data', () => wire.write('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n'));
  });
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
  t.match(await client.closed(), /^HTTP\/1\.1 417/);
  t.match(upstream.connections[0]?.text ?? '', /expect: 100-continue/);
});

t.test(
  'a client that waits for 100 Continue is let go on after a second, when the upstream says nothing',
  async (t) => {
    const { upstream, client } = await rig(t, (wire) => {
      wire.socket.on('data', () => {
        if (wire.text.endsWith('hello')) wire.write(okResponse('thanks'));
      });
    });
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
    await client.includes('100 Continue');
    client.write('hello');
    t.match(await client.includes('thanks'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/);
    t.equal(upstream.connections.length, 1);
  },
);

t.test('requests that must be refused never reach the upstream, and end the connection', async (t) => {
  const bad: readonly (readonly [string, number])[] = [
    ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG', 400],
    ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\n\r\n', 400],
    ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 501],
    ['GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
    [`GET /${'a'.repeat(70_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`, 431],
    [`GET / HTTP/1.1\r\nHost: a\r\n${'X: 1\r\n'.repeat(101)}\r\n`, 431],
    ['POST / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\nContent-Length: 0\r\n\r\n', 417],
    ['CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 501],
  ];
  const { upstream, worker } = await rig(
    t,
    answering(() => okResponse('never')),
  );
  const port = await worker.port('echo:80');
  for (const [bytes, status] of bad) {
    const client = await openWire(port);
    client.write(bytes);
    const text = await client.closed();
    t.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), JSON.stringify(bytes.slice(0, 60)));
    t.match(text, /connection: close[^]*tulle-reason|tulle-reason[^]*connection: close/);
  }
  t.equal(upstream.connections.length, 0);
});

t.test('a client that ends its side after a whole request still gets the answer', async (t) => {
  const { client } = await rig(
    t,
    answering(() => okResponse('answer')),
  );
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  client.socket.end();
  t.match(await client.closed(), /answer$/);
});

t.test('a client that goes away takes its upstream request with it', async (t) => {
  const { upstream, client } = await rig(t, () => undefined);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await waitFor(() => (upstream.connections[0]?.text ?? '').includes('\r\n\r\n'), client);
  client.socket.resetAndDestroy();
  await upstream.connections[0]?.closed();
  t.pass('the upstream connection was closed');
});

t.test('a slow reader brakes the upstream: what waits in between stays bounded', async (t) => {
  const total = 64 * 1024 * 1024;
  const { upstream, client } = await rig(t, (wire) => {
    wire.socket.once('data', () => {
      wire.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
      const piece = Buffer.alloc(1024 * 1024, 'x');
      let left = total;
      const send = (): void => {
        while (left > 0) {
          left -= piece.length;
          if (!wire.socket.write(piece)) return;
        }
      };
      wire.socket.on('drain', send);
      send();
    });
  });
  client.socket.pause();
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await waitFor(() => upstream.connections.length === 1, client);
  // The kernel's buffers on two connections take a few megabytes; the rest must still be on the upstream's side.
  const stalled = await stall(() => upstream.connections[0]?.socket.bytesWritten ?? 0);
  t.ok(stalled < 32 * 1024 * 1024, `the upstream stood still after ${stalled} bytes`);
  client.socket.removeAllListeners('data');
  let got = 0;
  client.socket.on('data', (chunk: Buffer) => (got += chunk.length));
  client.socket.resume();
  await waitFor(() => got >= total, client);
  t.ok(got >= total);
});

/** Looks again at each turn of the event loop, until it holds. */
async function waitFor(holds: () => boolean, wire: Wire): Promise<void> {
  while (!holds()) {
    if (wire.hadError) throw new Error('the client connection failed');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The value once it has not moved for a while. */
async function stall(read: () => number): Promise<number> {
  let last = -1;
  let same = 0;
  while (same < 10) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = read();
    same = now === last && now > 0 ? same + 1 : 0;
    last = now;
  }
  return last;
}
