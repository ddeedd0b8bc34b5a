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
  /** Of a connection that TLS opened itself: the TCP handle under the TLS one. */
  readonly _handle?: { readonly _parent?: TcpHandle } | null;
}

interface TcpHandle {
  close(done: () => void): void;
  /** 0, or an error code: then nothing has happened. */
  reset?(done: () => void): number;
}

/**
 * Sends a TCP reset. Node's own `resetAndDestroy` throws for TLS sockets, and destroying one ends in a FIN that a peer which does not
 * insist on `close_notify` takes for the end of the data.
 */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  if (!(socket instanceof TLSSocket)) {
    socket.resetAndDestroy();
    return;
  }
  const inside = socket as unknown as TlsInside;
  if (inside._parent instanceof Socket) {
    inside._parent.resetAndDestroy();
    socket.destroy();
    return;
  }
  const tcp = inside._handle?._parent;
  if (tcp?.reset !== undefined) closeByReset(tcp);
  socket.destroy();
}

/** Destroying the TLS socket closes the handle beneath: that close becomes a reset. */
function closeByReset(tcp: TcpHandle): void {
  const close = tcp.close.bind(tcp);
  tcp.close = (done) => {
    if (tcp.reset?.(done) !== 0) close(done);
  };
}
