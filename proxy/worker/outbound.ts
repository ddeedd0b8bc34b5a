/**
 * The outbound stack, read aloud: a connection of the application becomes a destination, the destination a filter chain,
 * and the chain HTTP or bytes. Knows how connections arrive here; what happens to a request is forwarding's business.
 */
import type { Socket } from 'node:net';
import { addressName, parseDestination, PASSTHROUGH_CLUSTER } from '#api/names.ts';
import type { HttpNetworkConfig, ListenerConfig, TcpNetworkConfig } from '../config/snapshot.ts';
import type { DownstreamPeer } from '../exchange/exchange.ts';
import type { Forwarding } from '../forwarding/forward.ts';
import type { RequestHead } from '../http/message.ts';
import type { ClientHello } from '../net/client-hello.ts';
import { Listener } from '../net/listener.ts';
import { originalDestination } from '../net/original-dst.ts';
import { resetSocket } from '../net/reset.ts';
import { parseNamed, ProxyNames } from './proxy-names.ts';
import { serveByName, type ByNameEnv } from './by-name.ts';
import type { HostPort } from './messages.ts';
import type { StackParts } from './parts.ts';
import { OutboundPolicy } from './outbound-policy.ts';
import { Passthrough } from './passthrough.ts';
import { whenResolved } from './resolved-clusters.ts';
import { declaredTimes, sniff, type Protocol } from './sniff.ts';
import { chooseCluster, connectAddress, connectTcp } from './tcp/connect.ts';
import { NO_ORIGIN, type TcpOrigin } from './tcp/connection.ts';
import type { TcpUpstream, TcpUpstreamEvents } from './tcp/upstream.ts';
import { TlsPassthrough } from './tls-passthrough.ts';
import { detectProtocol, type Detected } from './undeclared.ts';

/** A client of a destination that we do not know is told so after this long, whether it speaks HTTP or not. */
const SILENT_MS = 1000;
const CONNECT_TIMEOUT_MS = 10_000;
/** Of connections to places outside of the mesh; Envoy's default. */
const OUTSIDE_IDLE_MS = 3_600_000;
/** How long an opaque connection waits for the first answer to a name. */
const RESOLVE_WAIT_MS = 3000;

function peerOf(socket: Socket): DownstreamPeer {
  return {
    direction: 'outbound',
    address: `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`,
    identity: '',
    clientCert: '',
  };
}

export class Outbound {
  readonly #parts: StackParts;
  readonly #listeners: Listener[] = [];
  #ownPort = 0;
  readonly #passthrough: Passthrough;
  readonly #tls: TlsPassthrough;
  readonly #policy: OutboundPolicy;
  readonly #byName: ByNameEnv;
  readonly #names = new ProxyNames();
  /** When the last connection of the application ended. */
  #quietSinceMs: number;

  constructor(parts: StackParts) {
    this.#parts = parts;
    this.#passthrough = new Passthrough(parts.clusterEnv);
    this.#tls = new TlsPassthrough(parts);
    this.#policy = new OutboundPolicy(parts.settings.unknownDestinations, parts.runtime);
    this.#byName = {
      parts,
      refusesUnknown: () => this.#policy.refusesUnknown,
      connect: (destination, events) => this.#connectOutside(destination, events),
      serveKnown: (socket, name) => this.#serveKnown(socket, name),
      serveHttp: (socket, route) => {
        parts.http.serve(socket, 1, peerOf(socket), route);
        socket.resume();
      },
      begin: (forwarding, name) => this.#begin(forwarding, name),
      beginUnknown: (forwarding, destination) => this.#beginUnknown(forwarding, destination, 'unknown'),
      passed: (socket, { pass }) => pass(parts.tcpTelemetry.begin(socket, NO_ORIGIN)),
      refuse: (socket, { what }) => this.#refuseSocket(socket, what, 'unknown'),
    };
    this.#quietSinceMs = parts.clock.now();
  }

  /** For how long no connection of the application has been open, in milliseconds. */
  get quietMs(): number {
    const isOpen = this.#listeners.some((listener) => listener.connections > 0);
    return isOpen ? 0 : this.#parts.clock.now() - this.#quietSinceMs;
  }

  /** Opens what the settings ask for; the problems met, as sentences. */
  async open(): Promise<string[]> {
    const { settings } = this.#parts;
    const problems: string[] = [];
    const listen = async (what: string, at: HostPort, onConnection: (socket: Socket) => void): Promise<void> => {
      const opened = await Listener.open({
        ...at,
        ...this.#parts.share,
        keepAliveMs: settings.keepAliveMs,
        onConnection: (socket) => {
          socket.once('close', () => (this.#quietSinceMs = this.#parts.clock.now()));
          onConnection(socket);
        },
        onRefused: () => this.#parts.meters.refused.with('outbound', 'overflow').inc(),
      });
      if (!opened.ok) {
        problems.push(`cannot listen on ${at.address}:${at.port} for ${what}: ${opened.error}`);
        return;
      }
      this.#listeners.push(opened.value);
      if (what === 'outbound') this.#ownPort = opened.value.port;
      this.#parts.post({ kind: 'listening', what, address: at.address, port: opened.value.port });
    };
    if (settings.outbound !== null) {
      const captured = settings.captureMode === 'redirect';
      await listen('outbound', settings.outbound, (socket) =>
        captured ? this.#captured(socket) : this.#proxied(socket),
      );
    }
    for (const { name, ...at } of settings.explicitListens)
      await listen(name, at, (socket) => this.#named(socket, name));
    return problems;
  }

  close(): void {
    for (const listener of this.#listeners) listener.close();
    this.#passthrough.close();
  }

  // --- how connections arrive ------------------------------------------------------------------------------------

  /** Redirected by iptables: the original destination says where it was going. */
  #captured(socket: Socket): void {
    const destination = originalDestination(socket);
    if (destination === null || this.#isOwn(destination)) {
      this.#parts.meters.refused.with('outbound', 'loop').inc();
      resetSocket(socket);
      return;
    }
    this.#whenKnown(socket, addressName(destination.address, destination.port), destination);
  }

  /** A loopback port that stands for one destination. */
  #named(socket: Socket, name: string): void {
    this.#whenKnown(socket, name, parseNamed(name));
  }

  /** The application's HTTP proxy: each request names its destination. */
  #proxied(socket: Socket): void {
    this.#parts.http.serve(socket, 1, peerOf(socket), (forwarding, head) => this.#proxyRequest(forwarding, head));
  }

  /** It would come back to where it came in: that port, at an address of this machine. */
  #isOwn({ address, port }: HostPort): boolean {
    const { outbound, podAddresses } = this.#parts.settings;
    const isHere =
      address === 'localhost' ||
      address.endsWith('.localhost') ||
      address.startsWith('127.') ||
      ['::1', '::', '0.0.0.0', outbound?.address].includes(address) ||
      podAddresses.includes(address);
    return isHere && port === this.#ownPort;
  }

  // --- from destination to filter chain --------------------------------------------------------------------------

  #whenKnown(socket: Socket, name: string, fallback: HostPort | null): void {
    const { destinations } = this.#parts;
    const go = (state: 'ready' | 'unknown' | 'timeout'): void => {
      if (socket.destroyed) return;
      if (state === 'ready') this.#serveKnown(socket, name);
      else this.#serveUnknown(socket, state, fallback);
    };
    const state = destinations.use(name);
    if (state === 'pending') destinations.wait(name, { onDestination: go });
    else go(state);
  }

  #serveKnown(socket: Socket, name: string): void {
    const listener = this.#parts.runtime.listener(name);
    const network = listener?.chains[0]?.network ?? null;
    const opaque = network?.kind === 'http' ? network.fallback : network;
    const cluster = this.#parts.runtime.cluster(opaque?.clusters[0]?.cluster ?? '');
    whenResolved(cluster, this.#parts.clock, RESOLVE_WAIT_MS, () => {
      if (!socket.destroyed) this.#serveListener(socket, name);
    });
  }

  #serveListener(socket: Socket, name: string): void {
    const listener = this.#parts.runtime.listener(name);
    const network = listener?.chains[0]?.network ?? null;
    if (listener === undefined || (network === null && listener.serverNames.length === 0)) resetSocket(socket);
    else if (network === null) this.#serveTls(socket, listener);
    else if (network.kind === 'http') {
      if (network.fallback === null) this.#serveDeclared(socket, name, listener);
      else this.#detect(socket, name, listener, network.fallback);
    } else if (listener.serverNames.length > 0) this.#detect(socket, name, listener, network);
    else this.#serveTcp(socket, network, { ...NO_ORIGIN, routeName: network.name }, null);
  }

  /** Declared as HTTP; the first bytes say which version. What is neither gets the answer of HTTP/1.1: 400. */
  #serveDeclared(socket: Socket, name: string, listener: ListenerConfig): void {
    const { clock, settings } = this.#parts;
    sniff(socket, clock, declaredTimes(settings.downstreamIdleMs), ({ what, hello, early }) => {
      if (what === 'silent') socket.destroy();
      else if (what === 'tls' && listener.serverNames.length > 0) this.#routeTls(socket, listener, hello, early);
      else this.#serveHttp(socket, what === 'http2' ? 2 : 1, name);
    });
  }

  /** Nothing but TLS has a way there: its handshake says which, however long it takes. */
  #serveTls(socket: Socket, listener: ListenerConfig): void {
    const { clock, settings } = this.#parts;
    sniff(socket, clock, declaredTimes(settings.downstreamIdleMs), ({ what, hello, early }) => {
      if (what === 'silent') socket.destroy();
      else this.#routeTls(socket, listener, hello, early);
    });
  }

  #routeTls(socket: Socket, listener: ListenerConfig, hello: ClientHello | null, early: Buffer | null): void {
    const network = this.#tls.choose(socket, listener, hello);
    if (network === null) return;
    this.#serveTcp(
      socket,
      network,
      { identity: '', routeName: network.name, serverName: hello?.serverName ?? '' },
      early,
    );
  }

  #network(name: string): ListenerConfig['chains'][number]['network'] | null {
    return this.#parts.runtime.listener(name)?.chains[0]?.network ?? null;
  }

  /** Undeclared: whoever speaks first tells. The server is found while the client is still quiet. */
  #detect(socket: Socket, name: string, listener: ListenerConfig, fallback: TcpNetworkConfig): void {
    const { clock } = this.#parts;
    const connect = (events: TcpUpstreamEvents | null): TcpUpstream | null => this.#connect(fallback, events);
    detectProtocol(socket, { clock, connect, holdMs: 0 }, (detected) =>
      this.#serveDetected(socket, name, listener, fallback, detected),
    );
  }

  #serveDetected(
    socket: Socket,
    name: string,
    listener: ListenerConfig,
    fallback: TcpNetworkConfig,
    { what, hello, early, pass, leave }: Detected,
  ): void {
    const { meters, tcpTelemetry } = this.#parts;
    const port = String(parseDestination(name)?.port ?? 0);
    meters.detections.with('outbound', port, what).inc();
    if (what === 'http1' && listener.chains[0]?.network.kind === 'http') {
      leave();
      this.#serveHttp(socket, 1, name);
    } else if (what === 'tls' && listener.serverNames.length > 0) {
      leave();
      this.#routeTls(socket, listener, hello, early);
    } else {
      if (what === 'tls') this.#tls.passed();
      pass(tcpTelemetry.begin(socket, { identity: '', routeName: fallback.name, serverName: hello?.serverName ?? '' }));
    }
  }

  /** Begins to connect where the next connection of this chain goes; null: its cluster is not there. */
  #connect(network: TcpNetworkConfig, events: TcpUpstreamEvents | null): TcpUpstream | null {
    const { runtime, tcp } = this.#parts;
    const cluster = runtime.cluster(chooseCluster(network, tcp.random));
    return cluster === undefined ? null : connectTcp(cluster, network, tcp, events);
  }

  #serveTcp(socket: Socket, network: TcpNetworkConfig, origin: TcpOrigin, early: Buffer | null): void {
    const connection = this.#parts.tcpTelemetry.begin(socket, origin);
    const upstream = this.#connect(network, null);
    if (upstream === null) connection.refuse('no-cluster');
    else upstream.join(connection, early);
  }

  #serveHttp(socket: Socket, version: 1 | 2, name: string): void {
    this.#parts.http.serve(socket, version, peerOf(socket), (forwarding) => this.#begin(forwarding, name));
    socket.resume();
  }

  /** Not in the mesh: passed on untouched, or refused. HTTP clients are told why. */
  #serveUnknown(socket: Socket, state: 'unknown' | 'timeout', fallback: HostPort | null): void {
    if (state === 'unknown' && fallback !== null && this.#policy.asksForName(fallback.port)) {
      serveByName(socket, fallback, this.#byName);
      return;
    }
    const { tcpTelemetry, meters } = this.#parts;
    const passes = state === 'unknown' && fallback !== null && !this.#policy.refusesUnknown;
    meters.unknownDestinations.with(passes ? 'passed' : 'refused').inc();
    if (passes) {
      this.#connectOutside(fallback, null).join(tcpTelemetry.begin(socket, NO_ORIGIN), null);
      return;
    }
    const times = { silentMs: SILENT_MS, undecidedMs: SILENT_MS };
    sniff(socket, this.#parts.clock, times, ({ what }) => this.#refuseSocket(socket, what, state));
  }

  #refuseSocket(socket: Socket, what: Protocol, state: 'unknown' | 'timeout'): void {
    if (what !== 'http1') this.#parts.tcpTelemetry.begin(socket, NO_ORIGIN).refuse('unknown-destination');
    else {
      this.#parts.http.serve(socket, 1, peerOf(socket), (forwarding) => this.#refuse(forwarding, state));
      socket.resume();
    }
  }

  #connectOutside(destination: HostPort, events: TcpUpstreamEvents | null): TcpUpstream {
    return connectAddress(
      PASSTHROUGH_CLUSTER,
      destination,
      CONNECT_TIMEOUT_MS,
      OUTSIDE_IDLE_MS,
      this.#parts.tcp,
      events,
    );
  }

  #refuse(forwarding: Forwarding, state: 'unknown' | 'timeout'): void {
    forwarding.fail(
      'unknown-destination',
      state === 'unknown'
        ? 'the control plane does not know this destination'
        : 'the control plane did not answer in time',
    );
  }

  // --- requests --------------------------------------------------------------------------------------------------

  /** Starts a request on its way to `name`; the state is asked anew, for it may have changed since the connection was opened. */
  #begin(forwarding: Forwarding, name: string): void {
    const { destinations } = this.#parts;
    const go = (state: 'ready' | 'unknown' | 'timeout'): void => {
      const network = state === 'ready' ? this.#network(name) : null;
      if (network === null) this.#refuse(forwarding, state === 'timeout' ? 'timeout' : 'unknown');
      else if (network.kind === 'http') this.#start(forwarding, network);
      else forwarding.fail('bad-request', 'this port is declared as opaque TCP');
    };
    const state = destinations.use(name);
    if (state === 'pending') destinations.wait(name, { onDestination: go });
    else go(state);
  }

  #start(forwarding: Forwarding, network: HttpNetworkConfig): void {
    const { runtime } = this.#parts;
    forwarding.begin(runtime.table(network.routes), runtime.clusters);
  }

  /** Passed on, or refused with a reason. */
  #beginUnknown(forwarding: Forwarding, { address, port }: HostPort, state: 'unknown' | 'timeout'): void {
    const passes = state === 'unknown' && !this.#policy.refusesUnknown;
    this.#parts.meters.unknownDestinations.with(passes ? 'passed' : 'refused').inc();
    if (!passes) this.#refuse(forwarding, state);
    else if (this.#isOwn({ address, port })) forwarding.fail('loop', 'the request would come back to this sidecar');
    else {
      const target = this.#passthrough.target(address, port);
      forwarding.begin(target.table, target.clusters);
    }
  }

  #proxyRequest(forwarding: Forwarding, head: RequestHead): void {
    if (head.scheme === 'https') {
      forwarding.fail('bad-request', 'TLS to a host outside is not ours to begin: ask it directly');
      return;
    }
    const named = this.#names.find(head.authority);
    if (named === null) {
      forwarding.fail('bad-request', 'the request names no host');
      return;
    }
    const { name, address, port } = named;
    const { destinations } = this.#parts;
    const go = (state: 'ready' | 'unknown' | 'timeout'): void => {
      if (state === 'ready') this.#begin(forwarding, name);
      else this.#beginUnknown(forwarding, { address, port }, state);
    };
    const state = destinations.use(name);
    if (state === 'pending') destinations.wait(name, { onDestination: go });
    else go(state);
  }
}
