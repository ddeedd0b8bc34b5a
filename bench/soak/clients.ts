/**
 * Clients of the soak, one for each protocol: each function is one exchange, and rejects when it does not come out as it should.
 * Knows ports, not sidecars.
 */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { GRPC_METHODS, type ServiceName } from './names.ts';

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Longer than anything may take on a busy machine; what takes longer counts as a failure. */
const PATIENCE_MS = 20_000;
/** An HTTP/2 connection is replaced after so many requests, as deployments do. */
const SESSION_REQUESTS = 500;
const PIECE = Buffer.alloc(16_384, 'tulle');

export class Clients {
  readonly #places: Readonly<Record<ServiceName, Place>>;
  /** Bounded, so that a stall of the machine leaves no crowd of idle connections behind. */
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 4 });
  readonly #calls: Client;
  #session: http2.ClientHttp2Session | null = null;
  #sessionRequests = 0;
  #turn = 0;

  constructor(places: Readonly<Record<ServiceName, Place>>) {
    this.#places = places;
    const { host, port } = places.calls;
    this.#calls = new Client(`${host}:${port}`, credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  }

  /** Most on kept connections, one in ten on its own; one in twenty large. */
  async http1(): Promise<void> {
    const turn = this.#turn++;
    const size = turn % 20 === 0 ? 200_000 : 100;
    const agent = turn % 10 === 0 ? false : this.#agent;
    const body = turn % 4 === 0 ? PIECE : null;
    const request = http.request({
      ...this.#places.web,
      agent,
      path: `/?bytes=${size}`,
      method: body === null ? 'GET' : 'POST',
      timeout: PATIENCE_MS,
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.end(body ?? undefined);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    let received = 0;
    for await (const piece of response as AsyncIterable<Buffer>) received += piece.length;
    expect(response.statusCode === 200 && received === size, `http/1.1: ${response.statusCode}, ${received} bytes`);
  }

  async http2(): Promise<void> {
    if (this.#session === null || this.#session.destroyed || ++this.#sessionRequests > SESSION_REQUESTS) {
      this.#session?.close();
      const { host, port } = this.#places.web;
      this.#session = http2.connect(`http://${host}:${port}`);
      this.#session.on('error', () => undefined);
      this.#sessionRequests = 0;
    }
    const stream = this.#session.request({ ':path': '/?bytes=2000' });
    stream.setTimeout(PATIENCE_MS, () => stream.close(http2.constants.NGHTTP2_CANCEL));
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders & { ':status'?: number }];
    let received = 0;
    for await (const piece of stream as AsyncIterable<Buffer>) received += piece.length;
    expect(headers[':status'] === 200 && received === 2000, `http/2: ${headers[':status']}, ${received} bytes`);
  }

  call(): Promise<void> {
    const { path, requestSerialize, responseDeserialize } = GRPC_METHODS.say;
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + PATIENCE_MS };
      const message = Buffer.from('hello');
      this.#calls.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        message,
        new Metadata(),
        options,
        (error, answer) => {
          if (error === null && answer?.equals(message) === true) resolve();
          else reject(new Error(`grpc: ${error?.message ?? 'another answer'}`));
        },
      );
    });
  }

  async chat(): Promise<void> {
    const { path, requestSerialize, responseDeserialize } = GRPC_METHODS.chat;
    const options = { deadline: Date.now() + PATIENCE_MS };
    const call = this.#calls.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      new Metadata(),
      options,
    );
    for (let i = 0; i < 10; i++) call.write(PIECE);
    call.end();
    let received = 0;
    for await (const piece of call as AsyncIterable<Buffer>) received += piece.length;
    expect(received === 10 * PIECE.length, `grpc stream: ${received} bytes`);
  }

  async tunnel(): Promise<void> {
    const socket = connect(this.#places.web);
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('upgrade: no answer in time')));
    socket.write('GET / HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    let head = '';
    while (!head.includes('\r\n\r\n')) head += String(((await once(socket, 'data')) as [Buffer])[0]);
    expect(head.startsWith('HTTP/1.1 101'), `upgrade: ${head.slice(0, 40)}`);
    await echo(socket, 5);
  }

  async bytes(): Promise<void> {
    const socket = connect(this.#places.bytes);
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('tcp: no answer in time')));
    await echo(socket, 8);
  }

  close(): void {
    this.#agent.destroy();
    this.#session?.destroy();
    this.#calls.close();
  }
}

/** Writes `pieces`, ends, and reads all of it back to the other side's end. */
async function echo(socket: Socket, pieces: number): Promise<void> {
  for (let i = 0; i < pieces; i++) socket.write(PIECE);
  socket.end();
  let received = 0;
  for await (const piece of socket as AsyncIterable<Buffer>) received += piece.length;
  expect(received === pieces * PIECE.length, `echo: ${received} of ${pieces * PIECE.length} bytes`);
}

function expect(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
