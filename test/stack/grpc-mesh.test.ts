/**
 * grpc-js on both ends, two sidecars with mutual TLS between them, three replicas: every kind of call, as if nothing were in between.
 */
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { inboundCluster } from '#api/names.ts';
import { renderPrometheus } from '../../proxy/telemetry/prometheus.ts';
import { GrpcAsking, statusOf } from '../support/grpc-asking.ts';
import { CHAT, HANG, SERVING, startGrpcEcho, type GrpcEcho } from '../support/grpc-echo.ts';
import { TestAuthority } from '../support/identities.ts';
import {
  change,
  cluster,
  destination,
  endpoint,
  inboundListener,
  route,
  startWorker,
  type TestWorker,
} from '../support/worker.ts';
import { NOTHING, underWay, until } from './data-plane/rig.ts';

const authority = new TestAuthority();
const REPLICAS = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
const MIB = 1_048_576;

interface Mesh {
  readonly apps: readonly GrpcEcho[];
  readonly client: TestWorker;
  readonly servers: readonly TestWorker[];
  readonly asking: GrpcAsking;
}

async function server(app: GrpcEcho, address: string): Promise<TestWorker> {
  const worker = await startWorker({
    outbound: null,
    podAddresses: [address],
    pod: { namespace: 'default', name: `echo-${address}`, owner: 'echo', serviceAccount: 'echo' },
  });
  worker.worker.receive({ kind: 'identity', identity: authority.identity('echo') });
  const name = inboundCluster(app.port);
  const own = cluster(name, [endpoint(app.port)], { discovery: 'static', http2: true });
  worker.apply(
    change({
      trust: authority.trust,
      clusters: new Map([[name, own]]),
      listeners: new Map([['inbound', inboundListener(app.port, 'STRICT')]]),
    }),
  );
  await worker.port('inbound');
  return worker;
}

async function mesh(t: Test): Promise<Mesh> {
  const apps = await Promise.all(REPLICAS.map((address) => startGrpcEcho(address)));
  const servers = await Promise.all(apps.map((app, i) => server(app, REPLICAS[i] ?? '')));
  const endpoints = apps.map(({ port }, i) =>
    endpoint(port, { address: REPLICAS[i] ?? '', mtls: true, identity: authority.spiffeId('echo') }),
  );
  const limits = { connections: 100, pendingRequests: 4096, requests: 4096 };
  const answer = destination('echo:80', cluster('echo:80', endpoints, { limits }), [route('echo:80')]);
  const client = await startWorker(
    { explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port: 0 }] },
    new Map([['echo:80', answer]]),
  );
  client.worker.receive({ kind: 'identity', identity: authority.identity('client') });
  client.apply(change({ trust: authority.trust }));
  const asking = new GrpcAsking(await client.port('echo:80'));
  t.teardown(async () => {
    asking.close();
    for (const app of apps) app.close();
    await client.close();
    for (const worker of servers) await worker.close();
  });
  return { apps, client, servers, asking };
}

t.setTimeout(60_000);

t.test('gRPC through two sidecars', async (t) => {
  const { apps, client, servers, asking } = await mesh(t);
  const idle = (): boolean =>
    [client, ...servers].every(
      (worker) => JSON.stringify({ ...underWay(worker), downstream: 0 }) === JSON.stringify(NOTHING),
    );
  const cancelled = (): number => apps.reduce((sum, app) => sum + app.cancelled, 0);

  const written = (): number => apps.reduce((sum, app) => sum + app.written, 0);

  await t.test('unary calls carry metadata both ways, and each goes to the next replica', async (t) => {
    const word = Buffer.from([0, 255, 7]);
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => asking.say('hi', { 'x-word': 'one', 'x-word-bin': word })),
    );
    for (const { code, text, metadata, trailers } of answers) {
      t.match(
        { code, text, metadata, trailers },
        { code: 0, text: /^127\.0\.0\.\d:hi$/, metadata: { 'x-word': 'one' } },
      );
      t.same(trailers['x-word-bin'], word);
    }
    t.same(
      apps.map(({ calls }) => calls.length),
      [10, 10, 10],
      'over one connection of the client',
    );
    t.equal((await asking.health()).text, SERVING.latin1Slice(), 'health checks are answered by the application');
  });

  await t.test('the status of the application is the status of the client', async (t) => {
    const codes = [3, 5, 7, 13, 14, 16];
    const answers = await Promise.all(codes.map((code) => asking.say('', { 'x-fail': String(code) })));
    t.same(
      answers.map(({ code }) => code),
      codes,
    );
    t.match(answers[0]?.details, /^127\.0\.0\.\d fails$/);
    const unknown = await asking.unary('/echo.Echo/Nothing');
    t.equal(unknown.code, 12);
  });

  await t.test('streams of the client, of the server, and of both', async (t) => {
    t.equal(await asking.collect(100, 1000), '100 100000');
    let sizeBytes = 0;
    for await (const message of asking.count(100, 1000) as AsyncIterable<Buffer>) sizeBytes += message.length;
    t.equal(sizeBytes, 100_000);
    const chat = asking.chat(CHAT);
    for (const text of ['one', 'two', 'three']) {
      chat.write(Buffer.from(text));
      const [answer] = await once(chat, 'data');
      t.equal(String(answer), text, 'before the next is sent');
    }
    chat.end();
    t.equal((await statusOf(chat)).code, 0);
    const failing = asking.chat(CHAT);
    failing.resume();
    failing.write(Buffer.from('fail'));
    t.match(await statusOf(failing), { code: 10, details: 'as you wish' });
  });

  await t.test('a thousand streams at once each get their own messages', async (t) => {
    const streams = Array.from({ length: 1000 }, () => asking.chat(CHAT));
    const first = await Promise.all(
      streams.map(async (stream, i) => {
        stream.write(Buffer.from(`first ${i}`));
        return String((await once(stream, 'data'))[0]);
      }),
    );
    t.same(
      first,
      streams.map((_, i) => `first ${i}`),
    );
    const active = client.worker.describe().clusters.reduce((sum, c) => sum + c.activeRequests, 0);
    t.equal(active, 1000, 'all are open together');
    const codes = await Promise.all(
      streams.map(async (stream, i) => {
        stream.end(Buffer.from(`last ${i}`));
        const status = statusOf(stream);
        const [message] = await once(stream, 'data');
        return `${String(message)} ${(await status).code}`;
      }),
    );
    t.same(
      codes,
      streams.map((_, i) => `last ${i} 0`),
    );
    await until(idle, 'nothing is under way');
  });

  await t.test('large messages pass, and a reader that stops stops the writer', async (t) => {
    const large = Buffer.alloc(16 * MIB, 'x');
    const { code, text } = await asking.unary('/echo.Echo/Say', large);
    t.same([code, text.length], [0, '127.0.0.2:'.length + large.length]);
    t.equal(await asking.collect(8, 4 * MIB), `8 ${32 * MIB}`);
    for (const app of apps) app.written = 0;
    const call = asking.count(1000, 65_536);
    // Before the first read grpc-js takes all there is.
    let received = ((await once(call, 'data')) as [Buffer])[0].length;
    call.pause();
    let before = -1;
    while (written() !== before) {
      before = written();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    t.ok(before < 500, `${before} of 1000 messages are under way`);
    for await (const message of call as AsyncIterable<Buffer>) received += message.length;
    t.equal(received, 1000 * 65_536);
  });

  await t.test('a client that gives up is heard by the application', async (t) => {
    const before = cancelled();
    const chats = Array.from({ length: 5 }, () => asking.chat(CHAT));
    for (const chat of chats) {
      chat.write(Buffer.from('hi'));
      await once(chat, 'data');
      chat.cancel();
      t.equal((await statusOf(chat)).code, 1);
    }
    await until(() => cancelled() === before + 5, 'the application hears of it');
    await until(idle, 'nothing is under way');
  });

  await t.test('a deadline goes along, less the time spent, and ends the call everywhere', async (t) => {
    const { code } = await asking.unary(HANG, '', {}, { deadline: Date.now() + 2000 });
    t.equal(code, 4);
    const left = apps.flatMap(({ leftMs }) => leftMs);
    t.equal(left.length, 1);
    t.ok((left[0] ?? 0) <= 2000, `${left[0]} ms were left of 2000`);
    await until(idle, 'nothing is under way');
  });

  await t.test('an application that dies half way is UNAVAILABLE, not a clean end', async (t) => {
    const chat = asking.chat(CHAT);
    chat.write(Buffer.from('hi'));
    await once(chat, 'data');
    for (const app of apps) app.close();
    t.equal((await statusOf(chat)).code, 14);
    const { code, details } = await asking.say('hi');
    t.same([code, details.slice(0, 15)], [14, 'connect-failure']);
    const series = renderPrometheus(client.registry)
      .split('\n')
      .filter((line) => line.startsWith('tulle_requests_total'));
    for (const status of [0, 1, 5, 10, 12, 14]) {
      t.ok(
        series.some((line) => line.includes(`grpc_status="${status}"`)),
        `grpc_status ${status} is counted`,
      );
    }
  });
});
