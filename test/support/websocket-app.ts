/**
 * An application that speaks just enough WebSocket (RFC 6455) to send every message back, frame by frame as it comes.
 * Test-only.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

const CLOSE = 8;

interface FrameHead {
  readonly opcode: number;
  readonly sizeBytes: number;
  readonly mask: Buffer;
  readonly headBytes: number;
}

/** Null: more is needed. */
function readFrameHead(bytes: Buffer): FrameHead | null {
  if (bytes.length < 2) return null;
  const short = bytes[1]! & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const headBytes = 2 + lengthBytes + 4;
  if (bytes.length < headBytes) return null;
  const sizeBytes = lengthBytes === 0 ? short : bytes.readUIntBE(lengthBytes === 8 ? 4 : 2, lengthBytes === 8 ? 6 : 2);
  return {
    opcode: bytes[0]! & 0x0f,
    sizeBytes,
    mask: Buffer.from(bytes.subarray(headBytes - 4, headBytes)),
    headBytes,
  };
}

/** The same head without a mask, as servers send it. */
function answerHead(bytes: Buffer, { headBytes }: FrameHead): Buffer {
  const head = Buffer.from(bytes.subarray(0, headBytes - 4));
  head[1] = head[1]! & 0x7f;
  return head;
}

function echo(socket: Duplex): void {
  let held: Buffer = Buffer.alloc(0);
  let frame: FrameHead | null = null;
  let done = 0;
  socket.on('data', (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (;;) {
      if (frame === null) {
        frame = readFrameHead(held);
        if (frame === null) return;
        socket.write(answerHead(held, frame));
        held = held.subarray(frame.headBytes);
        done = 0;
      }
      const piece = Buffer.from(held.subarray(0, frame.sizeBytes - done));
      for (let i = 0; i < piece.length; i++) piece[i] = piece[i]! ^ frame.mask[(done + i) & 3]!;
      socket.write(piece);
      held = held.subarray(piece.length);
      done += piece.length;
      if (done < frame.sizeBytes) return;
      if (frame.opcode === CLOSE) socket.end();
      frame = null;
    }
  });
}

export interface WebSocketApp {
  readonly port: number;
  /** Requests that asked for an upgrade. */
  readonly asked: IncomingMessage[];
  close(): void;
}

export async function webSocketApp(): Promise<WebSocketApp> {
  const asked: IncomingMessage[] = [];
  const sockets = new Set<Duplex>();
  const server: Server = createServer((_request, response) => response.writeHead(426, { upgrade: 'websocket' }).end());
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    asked.push(request);
    sockets.add(socket);
    const key = String(request.headers['sec-websocket-key']);
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    const protocol = request.headers['sec-websocket-protocol'];
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n');
    if (protocol !== undefined) socket.write(`Sec-WebSocket-Protocol: ${protocol}\r\n`);
    socket.write(`Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
    echo(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
