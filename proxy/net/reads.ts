/**
 * All reads of all connections into one buffer: a read is used up before the next one begins. (A buffer for each read, as streams have it, is
 * an allocation of 64 KiB that shrinks afterwards.) Connections that we open for HTTP say so by `onread`; accepted ones, and those whose
 * reader is known later, have no such option, and are told by what Node keeps inside. Knows no protocol.
 */
import { Socket, type OnReadOpts } from 'node:net';

/** Gets the bytes of a read; they are valid only during the call. */
export type OnData = (chunk: Buffer) => void;

const READ_BUFFER = Buffer.allocUnsafeSlow(65_536);

/** For a connection that is about to be opened. */
export function readInto(onData: OnData): OnReadOpts {
  return { buffer: READ_BUFFER, callback: bytesTo(onData) };
}

function bytesTo(onData: OnData): (sizeBytes: number) => boolean {
  return (sizeBytes) => {
    onData(READ_BUFFER.subarray(0, sizeBytes));
    return true;
  };
}

/** What `onread` sets within a socket; not part of Node's documented interface. */
interface Inside {
  [hidden: symbol]: unknown;
  readonly _handle?: { useUserBuffer?(buffer: Buffer): void } | null;
}

const [BUFFER, CALLBACK] = hiddenKeys();

/** Null where Node has changed: then reads go the usual way, and only cost more. */
function hiddenKeys(): readonly [buffer: symbol | null, callback: symbol | null] {
  const keys = Object.getOwnPropertySymbols(new Socket());
  const find = (name: string): symbol | null => keys.find(({ description }) => description === name) ?? null;
  return [find('kBuffer'), find('kBufferCb')];
}

/**
 * From now on `onData` gets what a connection that is open reads, once for each connection. Bytes that wait in the socket already come first, when it flows. It flows or
 * is paused as before.
 */
export function takeReads(socket: Socket, onData: OnData): void {
  socket.on('data', onData);
  const inside = socket as unknown as Inside;
  const handle = inside._handle;
  if (BUFFER === null || CALLBACK === null || typeof handle?.useUserBuffer !== 'function') return;
  inside[BUFFER] = READ_BUFFER;
  inside[CALLBACK] = bytesTo(onData);
  handle.useUserBuffer(READ_BUFFER);
  // A paused stream goes on reading until it is full: such reads would overtake the bytes that wait in it.
  if (socket.isPaused()) socket.pause();
}
