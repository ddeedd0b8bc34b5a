/**
 * TLS of the application, passed on as it is: which way a handshake goes by the name it asks for, and what becomes of one that no route knows.
 * Ends no TLS and reads no certificate; knows no listener socket.
 */
import type { Socket } from 'node:net';
import type { ListenerConfig, ServerNameChainConfig, TcpNetworkConfig } from '../config/snapshot.ts';
import type { ClientHello } from '../net/client-hello.ts';
import { refuseServerName } from '../net/tls-alert.ts';
import { ServerNames } from '../routing/server-names.ts';
import type { StackParts } from './parts.ts';

/** `routed`: by a chain for its name; `passed`: no route looks at names there; the others were refused. */
export type TlsOutcome = 'routed' | 'passed' | 'no-match' | 'no-server-name' | 'not-tls';

export class TlsPassthrough {
  readonly #parts: StackParts;
  readonly #linked = new WeakMap<readonly ServerNameChainConfig[], ServerNames>();

  constructor(parts: StackParts) {
    this.#parts = parts;
  }

  /** No route looks at names there. */
  passed(): void {
    this.#count('passed', '');
  }

  /**
   * The chain for a handshake of the application; null: there is none, the client has been told and counted.
   * @param hello null: the connection does not begin with a ClientHello
   */
  choose(socket: Socket, listener: ListenerConfig, hello: ClientHello | null): TcpNetworkConfig | null {
    const network = hello === null ? null : this.#names(listener).find(hello.serverName);
    if (network !== null) {
      this.#count('routed', network.name);
      return network;
    }
    this.#refuse(socket, hello);
    return null;
  }

  #refuse(socket: Socket, hello: ClientHello | null): void {
    const { tcpTelemetry, clock } = this.#parts;
    const serverName = hello?.serverName ?? '';
    const connection = tcpTelemetry.begin(socket, { identity: '', routeName: '', serverName });
    if (hello === null) {
      this.#count('not-tls', '');
      connection.refuse('no-route');
    } else {
      this.#count(serverName === '' ? 'no-server-name' : 'no-match', '');
      refuseServerName(socket, clock);
      connection.end('no-route', 0, 0);
    }
  }

  #count(outcome: TlsOutcome, route: string): void {
    this.#parts.meters.tlsPassthrough.with(outcome, route).inc();
  }

  #names({ serverNames }: ListenerConfig): ServerNames {
    const known = this.#linked.get(serverNames);
    if (known !== undefined) return known;
    const linked = new ServerNames(serverNames);
    this.#linked.set(serverNames, linked);
    return linked;
  }
}
