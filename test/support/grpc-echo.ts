/**
 * A gRPC application of every kind of call, in a test's own process or as a workload: `grpc-echo.ts PORT`, on `POD_IP`, called `HOSTNAME`.
 * Messages are bytes. Test-only.
 */
import { Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';

export const SAY = '/echo.Echo/Say';
export const COLLECT = '/echo.Echo/Collect';
export const COUNT = '/echo.Echo/Count';
export const CHAT = '/echo.Echo/Chat';
export const HANG = '/echo.Echo/Hang';
export const HEALTH = '/grpc.health.v1.Health/Check';
/** `HealthCheckResponse { status: SERVING }` */
export const SERVING = Buffer.from([8, 1]);

export interface GrpcEcho {
  readonly port: number;
  /** Paths of the calls that came, in order. */
  readonly calls: string[];
  /** Milliseconds that calls of `Hang` had left when they came; Infinity: no deadline. */
  readonly leftMs: number[];
  /** Calls of `Hang` and `Chat` that their client gave up. */
  cancelled: number;
  /** What `Check` answers. */
  health: Buffer;
  /** Messages that `Count` has written so far. */
  written: number;
  close(): void;
}

function bytes(buffer: Buffer): Buffer {
  return buffer;
}

function method(path: string, requestStream: boolean, responseStream: boolean) {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

type Unary = (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => void;

/** `x-fail: CODE` in the metadata makes it fail so; else the text comes back behind the name, `x-word` in metadata and trailers. */
function say(name: string, echo: GrpcEcho): Unary {
  return (call, reply) => {
    echo.calls.push(SAY);
    const [fail] = call.metadata.get('x-fail');
    if (fail !== undefined) return reply({ code: Number(fail), details: `${name} fails` });
    const trailers = new Metadata();
    for (const word of call.metadata.get('x-word-bin')) trailers.add('x-word-bin', word);
    const initial = new Metadata();
    for (const word of call.metadata.get('x-word')) initial.add('x-word', word);
    call.sendMetadata(initial);
    reply(null, Buffer.concat([Buffer.from(`${name}:`), call.request]), trailers);
  };
}

/** Answers with the number of messages and of bytes. */
function collect(call: ServerReadableStream<Buffer, Buffer>, reply: sendUnaryData<Buffer>): void {
  let messages = 0;
  let sizeBytes = 0;
  call.on('data', (message: Buffer) => {
    messages++;
    sizeBytes += message.length;
  });
  call.on('error', () => undefined);
  call.on('end', () => reply(null, Buffer.from(`${messages} ${sizeBytes}`)));
}

/** `COUNT SIZE`: so many messages of so many bytes, as fast as they are taken. */
function count(echo: GrpcEcho): (call: ServerWritableStream<Buffer, Buffer>) => void {
  return (call) => {
    const [messages = 0, sizeBytes = 0] = call.request.toString().split(' ').map(Number);
    let sent = 0;
    const write = (): void => {
      while (sent < messages) {
        sent++;
        echo.written++;
        if (!call.write(Buffer.alloc(sizeBytes, sent % 256))) return void call.once('drain', write);
      }
      call.end();
    };
    write();
  };
}

/** Every message comes back; `fail` ends the call with ABORTED. */
function chat(echo: GrpcEcho): (call: ServerDuplexStream<Buffer, Buffer>) => void {
  return (call) => {
    echo.calls.push(CHAT);
    call.on('data', (message: Buffer) => {
      if (message.equals(Buffer.from('fail'))) call.emit('error', { code: 10, details: 'as you wish' });
      else call.write(message);
    });
    call.on('cancelled', () => echo.cancelled++);
    call.on('error', () => undefined);
    call.on('end', () => call.end());
  };
}

/** @param address `host:port`; port 0: any free one */
export async function startGrpcEcho(name: string, address = '127.0.0.1:0'): Promise<GrpcEcho> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 });
  const echo = {
    port: 0,
    calls: [],
    leftMs: [],
    cancelled: 0,
    written: 0,
    health: SERVING,
    close: () => server.forceShutdown(),
  };
  const state: GrpcEcho = echo;
  server.addService(
    {
      Say: method(SAY, false, false),
      Collect: method(COLLECT, true, false),
      Count: method(COUNT, false, true),
      Chat: method(CHAT, true, true),
      Hang: method(HANG, false, false),
      Check: method(HEALTH, false, false),
    },
    {
      Say: say(name, state),
      Collect: collect,
      Count: count(state),
      Chat: chat(state),
      Hang: (call: ServerUnaryCall<Buffer, Buffer>) => {
        state.calls.push(HANG);
        state.leftMs.push(Number(call.getDeadline()) - Date.now());
        call.on('cancelled', () => state.cancelled++);
      },
      Check: (_: unknown, reply: sendUnaryData<Buffer>) => reply(null, state.health),
    },
  );
  echo.port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return state;
}

if (import.meta.main) {
  const { POD_IP: host, HOSTNAME: name } = process.env;
  await startGrpcEcho(name ?? '', `${host}:${process.argv[2]}`);
}
