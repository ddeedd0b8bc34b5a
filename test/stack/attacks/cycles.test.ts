/**
 * Connections of every protocol that come, are used once, and go, through a running sidecar: descriptors are afterwards exactly what they
 * were. `TULLE_CYCLES` says how many of each; 10,000 take minutes.
 */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { connect, createServer, type AddressInfo } from 'node:net';
import { Client, credentials } from '@grpc/grpc-js';
import t from 'tap';
import { serviceWithEndpoint } from '../../support/folder-mesh.ts';
import { SAY, startGrpcEcho } from '../../support/grpc-echo.ts';
import { freePort } from '../../support/ports.ts';
import { besiege, type Door } from './rig.ts';

const CYCLES = Number(process.env['TULLE_CYCLES'] ?? 300);
// A sidecar takes every TULLE_ variable for a setting.
delete process.env['TULLE_CYCLES'];
const AT_ONCE = 20;

type Place = Pick<Door, 'host' | 'port'>;
/** One connection, used once. */
type Cycle = (place: Place) => Promise<void>;

async function overHttp1(place: Place): Promise<void> {
  const request = http.get({ ...place, agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  await once(response.resume(), 'end');
}

async function overHttp2({ host, port }: Place): Promise<void> {
  const session = http2.connect(`http://${host}:${port}`);
  await once(session.request({ ':path': '/' }).resume(), 'close');
  session.close();
  await once(session, 'close');
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

async function overGrpc({ host, port }: Place): Promise<void> {
  const options = { 'grpc.use_local_subchannel_pool': 1 };
  const client = new Client(`${host}:${port}`, credentials.createInsecure(), options);
  await new Promise<void>((resolve, reject) => {
    client.makeUnaryRequest(SAY, asIs, asIs, Buffer.from('x'), (error) => (error === null ? resolve() : reject(error)));
  });
  client.close();
}

async function overWebSocket(place: Place): Promise<void> {
  const socket = connect(place);
  socket.write('GET /ws HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n');
  socket.write('Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n');
  const [head] = (await once(socket, 'data')) as [Buffer];
  if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(head.toString('latin1'));
  socket.end('bytes of a tunnel');
  await once(socket.resume(), 'close');
}

async function overTcp(place: Place): Promise<void> {
  const socket = connect({ ...place, allowHalfOpen: true });
  socket.end('opaque bytes');
  let text = '';
  for await (const piece of socket as AsyncIterable<Buffer>) text += piece.toString('latin1');
  if (text !== 'opaque bytes') throw new Error(`the echo is ${text}`);
}

async function repeat(cycle: Cycle, place: Place): Promise<void> {
  let left = CYCLES;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await cycle(place);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

t.setTimeout(CYCLES * 100 + 200_000);

t.test(`${CYCLES} connections of each protocol leave nothing open`, async (t) => {
  const grpc = await startGrpcEcho('echo');
  const echo = createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket));
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  t.teardown(() => {
    grpc.close();
    echo.close();
  });
  const { port: echoPort } = echo.address() as AddressInfo;
  const calls = { yaml: serviceWithEndpoint('calls', 80, 'grpc', grpc.port), port: await freePort() };
  const bytes = { yaml: serviceWithEndpoint('bytes', 80, 'tcp', echoPort), port: await freePort() };
  const siege = await besiege(t, { podAddress: '127.0.0.64', services: { calls, bytes } });
  siege.app.behaviours.set('/ws', (socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n');
    socket.write('Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n');
  });
  const doors = siege.doors.flatMap((door): [string, Cycle, Place][] => [
    [`HTTP/1.1 ${door.name}`, overHttp1, door],
    [`HTTP/2 ${door.name}`, overHttp2, door],
    [`WebSocket ${door.name}`, overWebSocket, door],
  ]);
  const local = { host: '127.0.0.1' };
  const all = [
    ...doors,
    ['gRPC', overGrpc, { ...local, port: calls.port }] as const,
    ['TCP', overTcp, { ...local, port: bytes.port }] as const,
  ];
  for (const [name, cycle, place] of all) {
    await t.test(name, async (t) => {
      const sinceMs = Date.now();
      await repeat(cycle, place);
      t.comment(`${CYCLES} in ${((Date.now() - sinceMs) / 1000).toFixed(1)} s`);
      t.same(siege.harm(), [], 'others are served');
    });
  }
  await siege.lift(t);
});
