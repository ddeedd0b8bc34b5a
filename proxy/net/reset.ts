/**
 * Ends a connection so that the other side sees a failure and never a clean end, in plaintext and through TLS.
 * Knows no protocol above.
 */
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** What Node keeps beneath a TLS socket; not part of its documented interface. */
interface TlsInside {
  /** The accepted socket that was wrapped. */
  readonly _parent?: Socket | null;
  /** The TCP handle under the TLS one. */
  readonly _handle?: { readonly _parent?: TcpHandle } | null;
}

interface TcpHandle {
  close(done: () => void): void;
  /** 0, or an error code: then nothing has happened. */
  reset?(done: () => void): number;
}

/** TLS by the accepted socket that carries it, which does not know of it. */
const overTcp = new WeakMap<Socket, TLSSocket>();

/** From now on a reset of the accepted socket looks at the TLS over it. */
export function carriesTls(tls: TLSSocket): void {
  const parent = (tls as unknown as TlsInside)._parent;
  if (parent instanceof Socket) overTcp.set(parent, tls);
}

/**
 * Sends a TCP reset. Node's own `resetAndDestroy` throws for TLS sockets, and destroying one ends in a FIN that a peer which does not
 * insist on `close_notify` takes for the end of the data.
 */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  const tls = overTcp.get(socket);
  if (tls !== undefined && !tls.destroyed) {
    resetSocket(tls);
    return;
  }
  if (isEnding(socket)) {
    socket.destroy();
    return;
  }
  if (!(socket instanceof TLSSocket)) {
    socket.resetAndDestroy();
    return;
  }
  // By way of the TLS socket: with the accepted one gone before it, Node frees the session at once, and crashes when a handshake has just ended.
  const tcp = (socket as unknown as TlsInside)._handle?._parent;
  if (tcp?.reset !== undefined) closeByReset(tcp);
  socket.destroy();
}

/**
 * All is written and the end is on its way. A reset is impossible then (libuv: EINVAL while shutting down), and one that is tried leaves
 * a handle that nothing can close any more. Nothing is lost by closing: whoever still sends to us gets a reset for it.
 */
function isEnding(socket: Socket): boolean {
  return socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
}

/** Destroying the TLS socket closes the handle beneath: that close becomes a reset. */
function closeByReset(tcp: TcpHandle): void {
  const close = tcp.close.bind(tcp);
  tcp.close = (done) => {
    if (tcp.reset?.(done) !== 0) close(done);
  };
}
