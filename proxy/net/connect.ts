/**
 * Opens connections to endpoints, in plaintext or with mutual TLS, and says in one word why one failed.
 * Knows no pool and no request.
 */
import { connect, type OnReadOpts, type Socket, type TcpNetConnectOpts } from 'node:net';
import { ALPN } from '#api/names.ts';
import { ATTEMPT_DELAY_MS, type AddressOrder } from './address-order.ts';
import { keepAlive } from './keep-alive.ts';
import type { Origination } from './origination.ts';
import { readInto, type OnData } from './reads.ts';
import type { MeshTls } from './tls.ts';

/** Where to, and how. */
export interface Target {
  readonly address: string;
  readonly port: number;
  readonly mtls: boolean;
  readonly serverName: string;
  /** SPIFFE IDs of which the peer must prove one; only with `mtls`. */
  readonly identities: readonly string[];
  /** Silence after which TCP asks whether the peer is there; 0: never. */
  readonly keepAliveMs: number;
  /** It has several addresses, of which any will do; null or absent: `address` only. Never with `mtls`. */
  readonly order?: AddressOrder | null;
  /** TLS with a host outside the mesh; null or absent: none. Never with `mtls`. */
  readonly origination?: Origination | null;
}

export type ConnectFailure = 'connect-failure' | 'connect-timeout' | 'tls-failure';

/** ALPN of requests between sidecars: HTTP/2, whatever the application speaks (design D5). */
export const HTTP_PROTOCOLS: readonly string[] = [ALPN.h2, ALPN.mesh];
/** ALPN of opaque bytes between sidecars. */
export const OPAQUE_PROTOCOLS: readonly string[] = [ALPN.mesh];

export interface OpenedSocket {
  readonly socket: Socket;
  /** The event that says it can be used. */
  readonly ready: 'connect' | 'secureConnect';
}

/** Opens a connection whose bytes go to `onData`. */
export type OpenSocket = (onData: OnData) => OpenedSocket;

/**
 * The socket under way. With `onData` it hands out its bytes there instead of as `data` events.
 * @param tls for mutual TLS; null: who calls has none @param protocols what mutual TLS offers in ALPN
 * Null: mutual TLS is wanted and there is no identity yet.
 */
export function openSocket(
  target: Target,
  tls: MeshTls | null,
  protocols: readonly string[],
  onData?: OnData,
): OpenedSocket | null {
  const onread = onData === undefined ? undefined : readInto(onData);
  const opened = target.mtls ? openTls(target, tls, protocols, onread) : openOutside(target, onread);
  opened?.socket.once('connect', () => keepAlive(opened.socket, target.keepAliveMs));
  return opened;
}

function openTls(
  { address, port, serverName, identities }: Target,
  tls: MeshTls | null,
  protocols: readonly string[],
  onread: OnReadOpts | undefined,
): OpenedSocket | null {
  const socket = tls?.connect(address, port, serverName, identities, protocols, onread) ?? null;
  return socket === null ? null : { socket, ready: 'secureConnect' };
}

/** Plaintext, or TLS with a host outside. */
function openOutside({ address, port, order, origination }: Target, onread: OnReadOpts | undefined): OpenedSocket {
  const options: TcpNetConnectOpts = {
    // A name that is never asked for: `lookup` answers with the addresses.
    ...(order ? { host: 'endpoint.invalid', lookup: order.lookup, ...RACE } : { host: address }),
    port,
    noDelay: true,
    allowHalfOpen: true,
    ...(onread !== undefined && { onread }),
  };
  const socket = origination ? origination.connect(options) : connect(options);
  if (order) socket.once('connect', () => order.answered(socket.remoteAddress));
  return { socket, ready: origination ? 'secureConnect' : 'connect' };
}

/** RFC 8305 as Node does it: the next address when one has not answered in time. */
const RACE = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: ATTEMPT_DELAY_MS };

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** Before the connection stood: was it the network, or the handshake? And did it refuse, or say nothing? */
export function classifyConnectError(error: NodeJS.ErrnoException): { kind: ConnectFailure; detail: string } {
  const code = error.code ?? 'unknown';
  if (code === 'ETIMEDOUT') return { kind: 'connect-timeout', detail: 'no connection in time' };
  // Of several addresses none answered: each has its own error.
  const all = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [];
  if (NETWORK_CODES.has(code) || all.some((one) => NETWORK_CODES.has(one.code ?? '')))
    return { kind: 'connect-failure', detail: code };
  return { kind: 'tls-failure', detail: code === 'ERR_TULLE_PEER_IDENTITY' ? error.message : code };
}
