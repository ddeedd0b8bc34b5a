/**
 * The inbound stack, read aloud: a connection for a port of the application is told apart by its first bytes, mutual TLS is ended here,
 * and what is inside goes to the application. Knows no peer's policy beyond what the `inbound` listener says.
 */
import type { Socket } from 'node:net';
import { INBOUND_LISTENER } from '#api/names.ts';
import type { FilterChainConfig, HttpNetworkConfig } from '../config/snapshot.ts';
import type { DownstreamPeer } from '../exchange/exchange.ts';
import { clientCertOf } from '../filters/identity.ts';
import { Listener } from '../net/listener.ts';
import { originalDestination } from '../net/original-dst.ts';
import { resetSocket } from '../net/reset.ts';
import type { Acceptor } from '../net/tls.ts';
import type { StackParts } from './parts.ts';
import { sniff } from './sniff.ts';
import { forwardTcp, passThrough } from './tcp.ts';

/**
 * A plaintext client of a server-first protocol says nothing: after this long it is let through as plaintext where that is allowed.
 * Peers with a sidecar are not concerned, they begin with a TLS handshake.
 */
const SILENT_MS = 200;
const DETECT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 1000;

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
      if (this.#listeners.has(port)) continue;
      for (const address of settings.podAddresses) {
        const problem = await this.#listen(address, port, port, (socket) => this.#accept(socket, port));
        if (problem !== null) log.error(problem);
      }
    }
  }

  /** Resolves when every connection that is open now is gone. */
  async stopAccepting(): Promise<void> {
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
      maxConnections: settings.limits.maxConnections,
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
    const silentMs = chains.raw.network.kind === 'tcp' ? SILENT_MS : DETECT_MS;
    sniff(socket, this.#parts.clock, silentMs, (what, early) => {
      if (what === 'tls' && chains.acceptor !== null) chains.acceptor.accept(socket);
      else this.#serve(socket, port, '', early);
    });
  }

  /** A port that no Service sends to (a health port, say): straight to the application, unless all of this workload is STRICT. */
  #undeclared(socket: Socket, port: number): void {
    const { settings, tcp, meters } = this.#parts;
    const isStrict = this.#ports.size > 0 && [...this.#ports.values()].every((chains) => chains.raw === null);
    const address = settings.appAddress ?? settings.podAddresses[0];
    if (isStrict || address === undefined || !this.#parts.tls.isReady) {
      meters.refused.with('inbound', 'plaintext').inc();
      resetSocket(socket);
    } else passThrough(socket, address, port, CONNECT_TIMEOUT_MS, tcp);
  }

  #createAcceptor(port: number): Acceptor {
    return this.#parts.tls.acceptor({
      onSecure: (socket, identity) => this.#serve(socket, port, identity, null),
      onRefused: (reason) => this.#parts.meters.handshakesRefused.with(reason).inc(),
    });
  }

  // --- from connection to application ----------------------------------------------------------------------------

  #serve(socket: Socket, port: number, identity: string, early: Buffer | null): void {
    const chains = this.#ports.get(port) ?? this.#ports.get(0);
    const chain = identity === '' ? chains?.raw : chains?.tls;
    if (chain === null || chain === undefined) {
      this.#parts.meters.refused.with('inbound', 'plaintext').inc();
      resetSocket(socket);
      return;
    }
    const { network } = chain;
    if (network.kind === 'tcp') this.#serveTcp(socket, network.cluster, early);
    else if (network.fallbackCluster === '') this.#serveHttp(socket, port, identity, network);
    else {
      sniff(socket, this.#parts.clock, SILENT_MS, (what, late) => {
        this.#parts.meters.detections.with('inbound', String(port), what).inc();
        if (what === 'http1') this.#serveHttp(socket, port, identity, network);
        else this.#serveTcp(socket, network.fallbackCluster, late);
      });
    }
  }

  #serveTcp(socket: Socket, clusterName: string, early: Buffer | null): void {
    const cluster = this.#parts.runtime.cluster(clusterName);
    if (cluster === undefined) resetSocket(socket);
    else forwardTcp(socket, cluster, this.#parts.tcp, early);
  }

  #serveHttp(socket: Socket, port: number, identity: string, first: HttpNetworkConfig): void {
    const address = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;
    const peer: DownstreamPeer = {
      direction: 'inbound',
      address,
      identity,
      clientCert: clientCertOf(identity, this.#parts.ownIdentity()),
    };
    this.#parts.http.serve(socket, peer, (forwarding) => {
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
