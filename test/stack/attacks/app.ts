/**
 * An application of raw bytes behind the sidecar: it writes down every byte that reaches it, and answers each whole request as its path says.
 * Reads only what our own writer sends. Test-only.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { okResponse } from '../../support/raw-http.ts';

/** What is done with a request; the default is an answer of two bytes. */
export type Behave = (socket: Socket, head: string) => void;

const MIB = 1_048_576;
const MAX_RECORD = 8 * MIB;
export const LARGE = okResponse('x'.repeat(MIB));

/** Where the message that begins with `head` ends in `text`; -1: not yet. */
function endOf(text: string, headEnd: number, head: string): number {
  const length = /^content-length: (\d+)$/m.exec(head.replaceAll('\r', ''))?.[1];
  if (length !== undefined) return text.length >= headEnd + Number(length) ? headEnd + Number(length) : -1;
  if (!/^transfer-encoding: chunked$/m.test(head.replaceAll('\r', ''))) return headEnd;
  for (let at = headEnd; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return -1;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    at = lineEnd + 2 + size + 2;
    if (size > 0) continue;
    if (text.startsWith('\r\n', lineEnd + 2)) return lineEnd + 4;
    const trailersEnd = text.indexOf('\r\n\r\n', lineEnd);
    return trailersEnd < 0 ? -1 : trailersEnd + 4;
  }
}

export class RecordingApp {
  /** All that reached it since the last `forget`. */
  record = '';
  /** By path, without query. */
  readonly behaviours = new Map<string, Behave>([['/large', (socket) => socket.write(LARGE, 'latin1')]]);
  readonly #open = new Set<Socket>();
  readonly #server: Server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket));

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  forget(): void {
    this.record = '';
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #take(socket: Socket): void {
    let rest = '';
    this.#open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#open.delete(socket));
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.latin1Slice();
      if (this.record.length < MAX_RECORD) this.record += text;
      rest += text;
      for (let end = this.#wholeRequest(socket, rest); end > 0; end = this.#wholeRequest(socket, rest)) {
        rest = rest.slice(end);
      }
    });
  }

  /** Answers the first request of `text`. @returns where it ends, 0 when it is not whole */
  #wholeRequest(socket: Socket, text: string): number {
    const headEnd = text.indexOf('\r\n\r\n') + 4;
    if (headEnd < 4) return 0;
    const head = text.slice(0, headEnd);
    const end = endOf(text, headEnd, head);
    if (end < 0) return 0;
    const path = head.split(' ', 2)[1]?.split('?', 1)[0] ?? '';
    const behave = this.behaviours.get(path);
    if (behave === undefined) socket.write(okResponse('ok'), 'latin1');
    else behave(socket, head);
    return end;
  }
}
