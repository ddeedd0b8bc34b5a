/**
 * A listening socket with a bound on its connections.
 * Knows no protocol; hands out raw sockets, half-open allowed, without delay.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { err, ok, type Result } from '#base/result.ts';
import { keepAlive } from './keep-alive.ts';
import { resetSocket } from './reset.ts';

export interface ListenOptions {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** Other threads listen on the same port too, and the kernel spreads connections over all (`SO_REUSEPORT`). */
  readonly reusePort: boolean;
  /** Connections over this are closed at once and counted. */
  readonly maxConnections: number;
  /** Silence after which TCP asks whether the client is there; 0: never. */
  readonly keepAliveMs: number;
  readonly onConnection: (socket: Socket) => void;
  readonly onRefused: () => void;
}

export class Listener {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens, or says why it cannot (`EADDRINUSE`, `EACCES`, …). */
  static open(options: ListenOptions): Promise<Result<Listener, string>> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const listener = new Listener(server);
    server.on('connection', (socket) => listener.#accept(socket, options));
    return new Promise((resolve) => {
      server.once('error', (error: NodeJS.ErrnoException) => resolve(err(error.code ?? error.message)));
      const { address: host, port, reusePort } = options;
      server.listen({ host, port, reusePort, backlog: 1024 }, () => {
        server.removeAllListeners('error');
        // An accept that fails (out of descriptors) must not end the process: the connection waits in the backlog.
        server.on('error', () => undefined);
        resolve(ok(listener));
      });
    });
  }

  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Takes no new connection; those open go on. Resolves when the last of them is gone. */
  stopAccepting(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  /** Closes the listener and cuts every connection: by a reset, for nobody may take it for the end of what was to come. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) resetSocket(socket);
  }

  #accept(socket: Socket, options: ListenOptions): void {
    if (this.#sockets.size >= options.maxConnections) {
      socket.destroy();
      options.onRefused();
      return;
    }
    // A client may go away before anyone listens to it: without this an error event would end the process.
    socket.on('error', () => undefined);
    keepAlive(socket, options.keepAliveMs);
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    options.onConnection(socket);
  }
}
