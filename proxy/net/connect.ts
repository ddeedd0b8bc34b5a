/**
 * Opens connections to endpoints, in plaintext or with mutual TLS, and says in one word why one failed.
 * Knows no pool and no request.
 */
import { connect, type Socket } from 'node:net';
import type { MeshTls } from './tls.ts';

/** Where to, and how. */
export interface Target {
  readonly address: string;
  readonly port: number;
  readonly mtls: boolean;
  readonly serverName: string;
  /** SPIFFE IDs of which the peer must prove one; only with `mtls`. */
  readonly identities: readonly string[];
}

export type ConnectFailure = 'connect-failure' | 'tls-failure';

/** The socket under way; `ready` names the event that says it can be used. Null: mutual TLS is wanted and there is no identity yet. */
export function openSocket(target: Target, tls: MeshTls): { socket: Socket; ready: 'connect' | 'secureConnect' } | null {
  if (!target.mtls) {
    const socket = connect({ host: target.address, port: target.port, noDelay: true, allowHalfOpen: true });
    return { socket, ready: 'connect' };
  }
  const socket = tls.connect(target.address, target.port, target.serverName, target.identities);
  return socket === null ? null : { socket, ready: 'secureConnect' };
}

const NETWORK_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN']);

/** Before the connection stood: was it the network, or the handshake? */
export function classifyConnectError(error: NodeJS.ErrnoException): { kind: ConnectFailure; detail: string } {
  const code = error.code ?? 'unknown';
  if (NETWORK_CODES.has(code)) return { kind: 'connect-failure', detail: code };
  return { kind: 'tls-failure', detail: code === 'ERR_TULLE_PEER_IDENTITY' ? error.message : code };
}
