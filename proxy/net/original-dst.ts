/**
 * Where a captured connection was going before iptables sent it here: the socket option SO_ORIGINAL_DST, asked through koffi.
 * Linux only. koffi is loaded at the first question, for a sidecar in explicit mode never asks.
 */
import type Koffi from 'koffi';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';

export interface OriginalDestination {
  readonly address: string;
  readonly port: number;
}

/** Levels of getsockopt (netinet/in.h); the option has the same number on both (linux/netfilter_ipv4.h, netfilter_ipv6/ip6_tables.h). */
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;
/** sizeof(struct sockaddr_in) and sockaddr_in6. */
const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;

type GetSockOpt = (fd: number, level: number, option: number, value: Buffer, length: number[]) => number;

let getsockopt: GetSockOpt | null = null;

/** Null when the kernel knows of no redirection of this connection, or the socket is closed already. */
export function originalDestination(socket: Socket): OriginalDestination | null {
  const fd = descriptorOf(socket);
  if (fd === null) return null;
  const remote = socket.remoteAddress ?? '';
  const isIpv6 = remote.includes(':') && !remote.startsWith('::ffff:');
  const value = Buffer.alloc(isIpv6 ? SOCKADDR_IN6 : SOCKADDR_IN);
  getsockopt ??= loadGetsockopt();
  if (getsockopt(fd, isIpv6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, value, [value.length]) !== 0) return null;
  return isIpv6 ? readSockaddrIn6(value) : readSockaddrIn(value);
}

function loadGetsockopt(): GetSockOpt {
  // A bundle is CommonJS and has no import.meta.url; a static import would load the library in every sidecar.
  const require = createRequire(import.meta.url ?? __filename);
  const koffi = require('koffi') as typeof Koffi;
  return koffi
    .load(null)
    .func(
      'int getsockopt(int fd, int level, int option, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
    ) as GetSockOpt;
}

/** Node keeps the descriptor in the handle, which is not part of its documented interface. */
function descriptorOf(socket: Socket): number | null {
  const handle = (socket as Socket & { readonly _handle?: { readonly fd?: number } | null })._handle;
  const fd = handle?.fd ?? -1;
  return fd >= 0 ? fd : null;
}

function readSockaddrIn(value: Buffer): OriginalDestination {
  return { address: value.subarray(4, 8).join('.'), port: value.readUInt16BE(2) };
}

function readSockaddrIn6(value: Buffer): OriginalDestination {
  const groups: string[] = [];
  for (let at = 8; at < 24; at += 2) groups.push(value.readUInt16BE(at).toString(16));
  // The URL parser writes IPv6 in its shortest form (RFC 5952).
  const { hostname } = new URL(`http://[${groups.join(':')}]`);
  return { address: hostname.slice(1, -1), port: value.readUInt16BE(2) };
}
