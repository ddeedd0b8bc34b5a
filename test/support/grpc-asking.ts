/**
 * Calls of a gRPC client (grpc-js) as promises; messages are bytes. Test-only.
 */
import { Client, credentials, Metadata, type CallOptions, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { HEALTH, SAY, COLLECT, COUNT } from './grpc-echo.ts';

/** What a client sees at the end of a call. */
export interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly text: string;
  readonly metadata: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
}

const PATIENCE_MS = 30_000;

export function bytes(buffer: Buffer): Buffer {
  return buffer;
}

export function metadataOf(fields: Readonly<Record<string, string | Buffer>> = {}): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
}

/** The end of a call; ask before it comes. */
export function statusOf(call: {
  once(event: 'status', listener: (status: StatusObject) => void): unknown;
}): Promise<StatusObject> {
  return new Promise((resolve) => call.once('status', resolve));
}

/** One connection, whatever other clients of this process have; calls end within half a minute unless `options` says otherwise. */
export class GrpcAsking {
  readonly client: Client;

  /** @param authority that calls name; empty: host and port */
  constructor(port: number, host = '127.0.0.1', authority = '') {
    this.client = new Client(`${host}:${port}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': -1,
      'grpc.enable_retries': 0,
      ...(authority === '' ? {} : { 'grpc.default_authority': authority }),
    });
  }

  unary(
    path: string,
    text: string | Buffer = '',
    fields: Readonly<Record<string, string | Buffer>> = {},
    options: CallOptions = { deadline: Date.now() + PATIENCE_MS },
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      let answer = '';
      let metadata: Record<string, unknown> = {};
      const take = (_: ServiceError | null, message?: Buffer): void => void (answer = message?.latin1Slice() ?? '');
      const call = this.client.makeUnaryRequest(
        path,
        bytes,
        bytes,
        Buffer.from(text),
        metadataOf(fields),
        options,
        take,
      );
      call.on('metadata', (m: Metadata) => (metadata = m.getMap()));
      call.on('status', ({ code, details, metadata: trailers }: StatusObject) => {
        setImmediate(() => resolve({ code, details, text: answer, metadata, trailers: trailers.getMap() }));
      });
    });
  }

  say(text: string, fields: Readonly<Record<string, string | Buffer>> = {}): Promise<Outcome> {
    return this.unary(SAY, text, fields);
  }

  health(): Promise<Outcome> {
    return this.unary(HEALTH);
  }

  /** Sends messages as fast as they are taken; resolves to the answer. */
  collect(messages: number, sizeBytes: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = this.client.makeClientStreamRequest(COLLECT, bytes, bytes, (error, answer) =>
        error === null ? resolve(answer?.toString() ?? '') : reject(error),
      );
      let sent = 0;
      const write = (): void => {
        while (sent++ < messages) if (!call.write(Buffer.alloc(sizeBytes))) return void call.once('drain', write);
        call.end();
      };
      write();
    });
  }

  /** A stream of messages from the server; nothing is read until somebody does. */
  count(messages: number, sizeBytes: number) {
    const call = this.client.makeServerStreamRequest(COUNT, bytes, bytes, Buffer.from(`${messages} ${sizeBytes}`));
    call.on('error', () => undefined);
    return call;
  }

  chat(path: string, options: CallOptions = {}) {
    const call = this.client.makeBidiStreamRequest(path, bytes, bytes, options);
    call.on('error', () => undefined);
    return call;
  }

  close(): void {
    this.client.close();
  }
}
