/**
 * Raw sockets on both sides of a proxy: a client that writes bytes and reads until it has what it waits for, and an upstream that
 * shows every byte it got and answers as told.
 * Test-only.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Longer than anything is waited for in earnest: a wrong answer on a connection that stays would be waited out in silence. */
const PATIENCE_MS = 25_000;

/** Collects what arrives on a socket; every wait ends with the socket, or with patience, at the latest. */
export class Wire {
  readonly socket: Socket;
  text = '';
  /** The other side sends nothing more: it ended, or the connection is gone. */
  isClosed = false;
  hadError = false;
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.latin1Slice();
      this.#look();
    });
    socket.on('error', () => {
      this.hadError = true;
    });
    socket.on('end', () => {
      this.isClosed = true;
      this.#look();
    });
    socket.on('close', () => {
      this.isClosed = true;
      this.#look();
    });
  }

  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Resolves when `done` holds for what arrived so far; rejects when the socket closed before, or nobody answers. */
  until(done: (text: string) => boolean): Promise<string> {
    return this.#wait(() => done(this.text) || (this.isClosed ? 'closed' : false));
  }

  includes(part: string): Promise<string> {
    return this.until((text) => text.includes(part));
  }

  closed(): Promise<string> {
    return this.#wait(() => this.isClosed);
  }

  /** @param look whether it is there, or why it never will be */
  #wait(look: () => boolean | string): Promise<string> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: true | string): void => {
        clearTimeout(timer);
        this.#watchers.delete(watch);
        if (outcome === true) resolve(this.text);
        else reject(new Error(`${outcome} after ${JSON.stringify(this.text.slice(0, 500))}`));
      };
      const watch = (): void => {
        const outcome = look();
        if (outcome !== false) settle(outcome);
      };
      const timer = setTimeout(() => settle(`waited ${PATIENCE_MS} ms in vain`), PATIENCE_MS);
      this.#watchers.add(watch);
      watch();
    });
  }

  #look(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

export function openWire(port: number, address = '127.0.0.1'): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: address, allowHalfOpen: true });
    const wire = new Wire(socket);
    socket.once('connect', () => resolve(wire));
    socket.once('error', reject);
  });
}

/** An upstream on a port of its own; each connection is handed over as a wire. */
export interface RawUpstream {
  readonly port: number;
  readonly connections: Wire[];
  close(): void;
}

export async function rawUpstream(
  onConnection: (wire: Wire, index: number) => void,
  address = '127.0.0.1',
): Promise<RawUpstream> {
  const connections: Wire[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    const wire = new Wire(socket);
    connections.push(wire);
    onConnection(wire, connections.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    close: () => {
      server.close();
      for (const wire of connections) wire.socket.destroy();
    },
  };
}

/** Answers each request head that arrives, in order, with `answer(head, index)`. */
export function answering(answer: (head: string, index: number) => string): (wire: Wire) => void {
  return (wire) => {
    let seen = 0;
    let index = 0;
    wire.socket.on('data', () => {
      for (let end = wire.text.indexOf('\r\n\r\n', seen); end >= 0; end = wire.text.indexOf('\r\n\r\n', seen)) {
        const head = wire.text.slice(seen, end);
        seen = end + 4;
        const length = /content-length: (\d+)/.exec(head)?.[1];
        if (length !== undefined) seen += Number(length);
        wire.write(answer(head, index++));
      }
    });
  };
}

/** `HTTP/1.1 200 OK` with a body and its length. */
export function okResponse(body: string, fields = ''): string {
  return `HTTP/1.1 200 OK\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`;
}
