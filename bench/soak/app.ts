/**
 * The application of the soak: HTTP/1.1 with upgrades, gRPC, and bytes that come back. Run as a workload; `POD_IP` is its address.
 * Knows nothing of the mesh.
 */
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { Server, ServerCredentials, type ServerDuplexStream, type ServerUnaryCall } from '@grpc/grpc-js';
import { GRPC_METHODS, GRPC_PORT_VARIABLE, PORTS } from './names.ts';

const address = process.env['POD_IP'] ?? '127.0.0.1';
const onlyCalls = process.env[GRPC_PORT_VARIABLE];

const web = createHttpServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://self');
  request.resume();
  request.on('end', () => response.end(Buffer.alloc(Number(url.searchParams.get('bytes') ?? 1), 'x')));
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
