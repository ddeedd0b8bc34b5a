/**
 * Connections captured by an address that nobody knows, at a port of external services that are known by name: what a client asks for
 * (`Host`, or the server name of TLS) may be one of them. What is not goes on untouched, or is refused, as the policy says.
 * Knows no listener socket, and not how a known destination is served.
 */
import type { Socket } from 'node:net';
import { destinationName, parseDestination } from '#api/names.ts';
import type { Forwarding } from '../forwarding/forward.ts';
import type { RequestHead } from '../http/message.ts';
import type { HostPort } from './messages.ts';
import type { StackParts } from './parts.ts';
import type { TcpUpstream, TcpUpstreamEvents } from './tcp/upstream.ts';
import { detectProtocol, type Detected } from './undeclared.ts';

export interface ByNameEnv {
  readonly parts: StackParts;
  readonly refusesUnknown: () => boolean;
  /** Begins to connect to the address that was captured. */
  readonly connect: (destination: HostPort, events: TcpUpstreamEvents | null) => TcpUpstream;
  readonly serveKnown: (socket: Socket, name: string) => void;
  /** Requests of a connection, each asked for its own destination. */
  readonly serveHttp: (socket: Socket, route: (forwarding: Forwarding, head: RequestHead) => void) => void;
  readonly begin: (forwarding: Forwarding, name: string) => void;
  /** To the address that was captured, or refused. */
  readonly beginUnknown: (forwarding: Forwarding, destination: HostPort) => void;
  readonly passed: (socket: Socket, detected: Detected) => void;
  readonly refuse: (socket: Socket, detected: Detected) => void;
}

type Known = 'ready' | 'unknown' | 'timeout';

/** As much of a head as is looked at: what stands further back is not found, and the connection passes untouched. */
const MAX_PEEK_BYTES = 16_384;

/** @param destination that was captured */
export function serveByName(socket: Socket, destination: HostPort, env: ByNameEnv): void {
  const { clock } = env.parts;
  const connect = (events: TcpUpstreamEvents | null): TcpUpstream | null =>
    env.refusesUnknown() ? null : env.connect(destination, events);
  detectProtocol(socket, { clock, connect, holdMs: 0 }, (detected) => {
    const host = nameAsked(socket, detected);
    if (host === '') settleUnknown(socket, detected, env);
    else {
      whenKnown(destinationName(host, destination.port), env.parts, (state) => {
        if (socket.destroyed) detected.leave();
        else if (state !== 'ready') settleUnknown(socket, detected, env);
        else serve(socket, destinationName(host, destination.port), destination, detected, env);
      });
    }
  });
}

function serve(socket: Socket, name: string, destination: HostPort, detected: Detected, env: ByNameEnv): void {
  detected.leave();
  if (detected.what !== 'http1') {
    env.serveKnown(socket, name);
    return;
  }
  // A client may ask for several hosts on one connection: each request for itself.
  env.serveHttp(socket, (forwarding, head) => {
    const host = hostOf(head.authority);
    whenKnown(destinationName(host, destination.port), env.parts, (state) => {
      if (state === 'ready') env.begin(forwarding, destinationName(host, destination.port));
      else env.beginUnknown(forwarding, destination);
    });
  });
}

function settleUnknown(socket: Socket, detected: Detected, env: ByNameEnv): void {
  const passes = !env.refusesUnknown();
  env.parts.meters.unknownDestinations.with(passes ? 'passed' : 'refused').inc();
  if (passes) env.passed(socket, detected);
  else {
    detected.leave();
    env.refuse(socket, detected);
  }
}

function whenKnown(name: string, { destinations }: StackParts, then: (state: Known) => void): void {
  const state = destinations.use(name);
  if (state === 'pending') destinations.wait(name, { onDestination: then });
  else then(state);
}

/** The host that a client asks for by its first bytes; empty: none. */
function nameAsked(socket: Socket, { what, hello }: Detected): string {
  if (what === 'tls') return hello?.serverName.toLowerCase() ?? '';
  return what === 'http1' ? hostAsked(socket) : '';
}

/** `Host` of a request whose bytes are unread, and stay so. */
function hostAsked(socket: Socket): string {
  const bytes = socket.read() as Buffer | null;
  if (bytes === null) return '';
  socket.unshift(bytes);
  const head = bytes.latin1Slice(0, Math.min(bytes.length, MAX_PEEK_BYTES));
  const end = head.indexOf('\r\n\r\n');
  const field = /\r\nhost:[\t ]*([^\t\r\n ]*)/i.exec(end < 0 ? head : head.slice(0, end + 2));
  return hostOf(field?.[1] ?? '');
}

function hostOf(authority: string): string {
  return (parseDestination(authority)?.host ?? authority).toLowerCase();
}
