/**
 * The inbound stack, read aloud: a connection for a port of the application is told apart by its first bytes, mutual TLS is ended here,
 * and what is inside goes to the application. Knows no peer's policy beyond what the `inbound` listener says.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { ALPN, INBOUND_LISTENER, PASSTHROUGH_CLUSTER } from '#api/names.ts';
import type { FilterChainConfig, HttpNetworkConfig, TcpNetworkConfig } from '../config/snapshot.ts';
import type { DownstreamPeer } from '../exchange/exchange.ts';
import { clientCertOf } from '../filters/identity.ts';
import { isMeshHello } from '../net/client-hello.ts';
import { Listener } from '../net/listener.ts';
import { originalDestination } from '../net/original-dst.ts';
import { resetSocket } from '../net/reset.ts';
import type { Acceptor } from '../net/tls.ts';
import type { StackParts } from './parts.ts';
import { declaredTimes, sniff } from './sniff.ts';
import { chooseCluster, connectAddress, connectTcp } from './tcp/connect.ts';
import { NO_ORIGIN } from './tcp/connection.ts';
import type { TcpUpstream, TcpUpstreamEvents } from './tcp/upstream.ts';
import { detectProtocol, type Detected } from './undeclared.ts';

/**
 * Where plaintext is allowed, a server that speaks first is heard only after this time: by then a peer with a sidecar, whose handshake
 * comes with its first packet, has begun it. One that is later yet fails its handshake and tries again.
 */
const HOLD_MS = 100;
/** To the application: there is no other to try, and what does not fit into its accept queue is tried again by TCP after a second, and then again. */
const CONNECT_TIMEOUT_MS = 5000;
/** Where no listener says it, silence ends no connection to the application: the client's side has its own limit. */
const NO_IDLE = 0;

type NetworkConfig = FilterChainConfig['network'];

/** The chains for one port of the application. */
interface PortChains {
  tls: FilterChainConfig | null;
  raw: FilterChainConfig | null;
  acceptor: Acceptor | null;
}

export class Inbound {
  readonly #parts: StackParts;
  /** By port: one for each address of the pod. */
  readonly #listeners = new Map<number, Listener[]>();
  #ports = new Map<number, PortChains>();
  /** Clients of ports for requests that have not said a word yet. */
  readonly #quiet = new Set<Socket>();

  constructor(parts: StackParts) {
    this.#parts = parts;
  }

  /** Redirect mode: opens the one port that all inbound connections are led to. The problems met, as sentences. */
  async open(): Promise<string[]> {
    const { settings } = this.#parts;
    if (settings.captureMode !== 'redirect' || settings.inbound === null) return [];
    const { address, port } = settings.inbound;
    const problem = await this.#listen(address, port, port, (socket) => this.#captured(socket));
    return problem === null ? [] : [problem];
  }

  /** The `inbound` listener changed: ports appear and go. Explicit mode listens on each port itself. */
  async update(): Promise<void> {
    const { runtime, settings, log } = this.#parts;
    const ports = new Map<number, PortChains>();
    for (const chain of runtime.listener(INBOUND_LISTENER)?.chains ?? []) this.#addChain(ports, chain);
    for (const [port, chains] of this.#ports) if (!ports.has(port)) chains.acceptor?.close();
    this.#ports = ports;
    if (settings.captureMode !== 'explicit') return;
    for (const [port, listeners] of this.#listeners) {
      if (ports.has(port)) continue;
      for (const listener of listeners) listener.close();
      this.#listeners.delete(port);
    }
    for (const port of ports.keys()) {
      // The chain for all other ports has none to listen on.
      if (port === 0 || this.#listeners.has(port)) continue;
      for (const address of settings.podAddresses) {
        const problem = await this.#listen(address, port, port, (socket) => this.#accept(socket, port));
        if (problem !== null) log.error(problem);
      }
    }
  }

  /** Ports that the application is known to serve. */
  get ports(): readonly number[] {
    return [...this.#ports.keys()].filter((port) => port !== 0);
  }

  /** Resolves when every connection that is open now is gone. Those that have not asked for anything go at once. */
  async stopAccepting(): Promise<void> {
    for (const socket of this.#quiet) socket.destroy();
    await Promise.all([...this.#listeners.values()].flat().map((listener) => listener.stopAccepting()));
  }

  close(): void {
    for (const listener of [...this.#listeners.values()].flat()) listener.close();
  }

  #addChain(ports: Map<number, PortChains>, chain: FilterChainConfig): void {
    const port = chain.destinationPort ?? 0;
    const entry = ports.get(port) ?? { tls: null, raw: null, acceptor: null };
    ports.set(port, entry);
    if (chain.mtls) {
      entry.tls ??= chain;
      entry.acceptor ??= this.#ports.get(port)?.acceptor ?? this.#createAcceptor(port);
    } else entry.raw ??= chain;
  }

  async #listen(
    address: string,
    at: number,
    key: number,
    onConnection: (socket: Socket) => void,
  ): Promise<string | null> {
    const { settings, meters, post } = this.#parts;
    const opened = await Listener.open({
      address,
      port: at,
      ...this.#parts.share,
      keepAliveMs: settings.keepAliveMs,
      onConnection,
      onRefused: () => meters.refused.with('inbound', 'overflow').inc(),
    });
    if (!opened.ok) return `cannot listen on ${address}:${at} for inbound connections: ${opened.error}`;
    const others = this.#listeners.get(key) ?? [];
    this.#listeners.set(key, [...others, opened.value]);
    post({ kind: 'listening', what: 'inbound', address, port: opened.value.port });
    return null;
  }

  // --- how connections arrive ------------------------------------------------------------------------------------

  #captured(socket: Socket): void {
    const destination = originalDestination(socket);
    if (destination === null || destination.port === this.#parts.settings.inbound?.port) {
      this.#parts.meters.refused.with('inbound', 'loop').inc();
      resetSocket(socket);
    } else this.#accept(socket, destination.port);
  }

  #accept(socket: Socket, port: number): void {
    const chains = this.#ports.get(port) ?? this.#ports.get(0);
    if (chains === undefined) {
      this.#undeclared(socket, port);
      return;
    }
    if (chains.raw === null) {
      chains.acceptor?.accept(socket);
      return;
    }
    const { network } = chains.raw;
    if (network.kind === 'http' && network.fallback === null) {
      const { clock, settings } = this.#parts;
      this.#quiet.add(socket);
      socket.once('close', () => this.#quiet.delete(socket));
      sniff(socket, clock, declaredTimes(settings.downstreamIdleMs), ({ what }) => {
        this.#quiet.delete(socket);
        if (what === 'silent') socket.destroy();
        else if (what === 'tls' && chains.acceptor !== null) chains.acceptor.accept(socket);
        else this.#serveHttp(socket, what === 'http2' ? 2 : 1, port, '', network);
      });
    } else this.#detectPlaintext(socket, port, network, chains.acceptor);
  }

  /** Not only sidecars speak TLS: what is not a handshake with us is the application's. */
  #detectPlaintext(socket: Socket, port: number, network: NetworkConfig, acceptor: Acceptor | null): void {
    this.#detect(socket, port, network, acceptor === null ? 0 : HOLD_MS, (detected) => {
      if (acceptor !== null && detected.hello !== null && isMeshHello(detected.hello)) {
        detected.leave();
        acceptor.accept(socket);
      } else this.#serveDetected(socket, port, '', network, detected);
    });
  }

  /** A port that no Service sends to (a health port, say): straight to the application, unless all of this workload is STRICT. */
  #undeclared(socket: Socket, port: number): void {
    const { settings, tcp, tcpTelemetry, meters } = this.#parts;
    const isStrict = this.#ports.size > 0 && [...this.#ports.values()].every((chains) => chains.raw === null);
    const address = settings.appAddress ?? settings.podAddresses[0];
    if (isStrict || address === undefined || !this.#parts.tls.isReady) {
      meters.refused.with('inbound', 'plaintext').inc();
      resetSocket(socket);
    } else {
      const connection = tcpTelemetry.begin(socket, NO_ORIGIN);
      connectAddress(PASSTHROUGH_CLUSTER, { address, port }, CONNECT_TIMEOUT_MS, NO_IDLE, tcp, null).join(
        connection,
        null,
      );
    }
  }

  #createAcceptor(port: number): Acceptor {
    return this.#parts.tls.acceptor({
      onSecure: (socket, identity) => this.#serveSecure(socket, port, identity),
      onRefused: (reason) => this.#parts.meters.handshakesRefused.with(reason).inc(),
    });
  }

  // --- from connection to application ----------------------------------------------------------------------------

  #chainOf(port: number, identity: string): FilterChainConfig | null {
    const chains = this.#ports.get(port) ?? this.#ports.get(0);
    return (identity === '' ? chains?.raw : chains?.tls) ?? null;
  }

  /** A peer's handshake has said what comes: requests over HTTP/2, or the application's bytes as they are. */
  #serveSecure(socket: TLSSocket, port: number, identity: string): void {
    const network = this.#chainOf(port, identity)?.network;
    if (socket.alpnProtocol !== ALPN.h2) this.#serve(socket, port, identity);
    else if (network?.kind === 'http') this.#serveHttp(socket, 2, port, identity, network);
    else {
      // The two sides disagree on the protocol of the port, as for a moment after a change: frames must not reach the application.
      this.#parts.meters.refused.with('inbound', 'protocol').inc();
      resetSocket(socket);
    }
  }

  #serve(socket: Socket, port: number, identity: string): void {
    const network = this.#chainOf(port, identity)?.network;
    if (network === undefined) this.#refusePlaintext(socket);
    else if (network.kind === 'tcp') this.#serveTcp(socket, port, identity, network);
    else if (network.fallback === null) this.#serveHttp(socket, 1, port, identity, network);
    else {
      this.#detect(socket, port, network, 0, (detected) =>
        this.#serveDetected(socket, port, identity, network, detected),
      );
    }
  }

  #serveTcp(socket: Socket, port: number, identity: string, network: TcpNetworkConfig): void {
    const connection = this.#parts.tcpTelemetry.begin(socket, { ...NO_ORIGIN, identity });
    const upstream = this.#connect(port, network, null);
    if (upstream === null) connection.refuse('no-cluster');
    else upstream.join(connection, null);
  }

  #refusePlaintext(socket: Socket): void {
    this.#parts.meters.refused.with('inbound', 'plaintext').inc();
    resetSocket(socket);
  }

  #detect(
    socket: Socket,
    port: number,
    network: NetworkConfig,
    holdMs: number,
    then: (detected: Detected) => void,
  ): void {
    const connect = (events: TcpUpstreamEvents | null): TcpUpstream | null => this.#connect(port, network, events);
    detectProtocol(socket, { clock: this.#parts.clock, connect, holdMs }, then);
  }

  #serveDetected(
    socket: Socket,
    port: number,
    identity: string,
    network: NetworkConfig,
    { what, hello, pass, leave }: Detected,
  ): void {
    const { meters, tcpTelemetry } = this.#parts;
    if (network.kind === 'http') meters.detections.with('inbound', String(port), what).inc();
    // A mode that turned STRICT while the client was silent.
    if (this.#chainOf(port, identity) === null) {
      leave();
      this.#refusePlaintext(socket);
    } else if (network.kind === 'http' && what === 'http1') {
      leave();
      this.#serveHttp(socket, 1, port, identity, network);
    } else pass(tcpTelemetry.begin(socket, { ...NO_ORIGIN, identity, serverName: hello?.serverName ?? '' }));
  }

  /** To the application; null when the listener names a cluster that is not there. */
  #connect(port: number, network: NetworkConfig, events: TcpUpstreamEvents | null): TcpUpstream | null {
    const { runtime, settings, tcp } = this.#parts;
    const proxy = network.kind === 'tcp' ? network : network.fallback;
    if (proxy === null) return null;
    const name = chooseCluster(proxy, tcp.random);
    const address = settings.appAddress ?? settings.podAddresses[0];
    if (name === PASSTHROUGH_CLUSTER && address !== undefined) {
      return connectAddress(name, { address, port }, CONNECT_TIMEOUT_MS, proxy.idleTimeoutMs, tcp, events);
    }
    const cluster = runtime.cluster(name);
    return cluster === undefined ? null : connectTcp(cluster, proxy, tcp, events);
  }

  #serveHttp(socket: Socket, version: 1 | 2, port: number, identity: string, first: HttpNetworkConfig): void {
    const address = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;
    const peer: DownstreamPeer = {
      direction: 'inbound',
      address,
      identity,
      clientCert: clientCertOf(identity, this.#parts.ownIdentity()),
    };
    this.#parts.http.serve(socket, version, peer, (forwarding) => {
      const { runtime } = this.#parts;
      const chains = this.#ports.get(port) ?? this.#ports.get(0);
      const network = (identity === '' ? chains?.raw : chains?.tls)?.network ?? first;
      // A mode that turned STRICT ends plaintext at the next request of a connection that stands.
      if (chains !== undefined && identity === '' && chains.raw === null) {
        forwarding.fail('bad-request', 'this workload takes mutual TLS only');
      } else if (network.kind === 'http') forwarding.begin(runtime.table(network.routes), runtime.clusters);
      else forwarding.fail('bad-request', 'this port is declared as opaque TCP');
    });
    socket.resume();
  }
}
