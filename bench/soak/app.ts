/**
 * The application of the soak: HTTP/1.1 with upgrades, gRPC, and bytes that come back. Run as a workload; `POD_IP` is its address.
 * Knows nothing of the mesh.
 */
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { Server, ServerCredentials, type ServerDuplexStream, type ServerUnaryCall } from '@grpc/grpc-js';
import { GRPC_METHODS, GRPC_PORT_VARIABLE, PORTS } from './names.ts';

const address = process.env['POD_IP'] ?? '127.0.0.1';
const onlyCalls = process.env[GRPC_PORT_VARIABLE];

const PIECE = Buffer.alloc(65_536, 'x');
/** Who is slow rests so long after so many bytes. */
const REST = { everyBytes: 8_388_608, ms: 20 };

/** Reads to the end; how many bytes it was. */
async function take(request: AsyncIterable<Buffer>, slow: boolean): Promise<number> {
  let received = 0;
  let rested = 0;
  for await (const piece of request) {
    received += piece.length;
    if (!slow || received - rested < REST.everyBytes) continue;
    rested = received;
    await new Promise((resolve) => setTimeout(resolve, REST.ms));
  }
  return received;
}

/** So many bytes, as fast as they are taken. */
function send(response: ServerResponse, sizeBytes: number): void {
  response.setHeader('content-length', sizeBytes);
  let left = sizeBytes;
  const go = (): void => {
    while (left > 0 && !response.destroyed) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      left -= piece.length;
      if (!response.write(piece)) return;
    }
    if (left === 0) response.end();
  };
  response.on('drain', go);
  go();
}

const web = createHttpServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://self');
  const slow = url.searchParams.has('slow');
  void take(request, slow).then((received) => {
    if (request.method === 'PUT') response.end(String(received));
    else send(response, Number(url.searchParams.get('bytes') ?? 1));
  });
});
web.on('upgrade', (_request, socket) => {
  socket.on('error', () => undefined);
  socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  socket.pipe(socket);
});
if (onlyCalls === undefined) web.listen(PORTS.web, address);

const bytes = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => undefined);
  socket.pipe(socket);
});
if (onlyCalls === undefined) bytes.listen(PORTS.bytes, address);

const calls = new Server();
calls.addService(
  { say: GRPC_METHODS.say, chat: GRPC_METHODS.chat },
  {
    say: (call: ServerUnaryCall<Buffer, Buffer>, reply: (error: null, value: Buffer) => void) =>
      reply(null, call.request),
    chat: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on('error', () => undefined);
      call.on('data', (message: Buffer) => call.write(message));
      call.on('end', () => call.end());
    },
  },
);
calls.bindAsync(`${address}:${onlyCalls ?? PORTS.calls}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
});
