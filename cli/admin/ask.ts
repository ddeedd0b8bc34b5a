/**
 * Short questions to the HTTP endpoints of sidecars and control plane on this machine. A failure is a null, not an exception.
 */
import http from 'node:http';

const TIMEOUT_MS = 1000;
/** An answer over this is cut off and counts as none. */
const MAX_BYTES = 64 * 1024 * 1024;

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export function ask(url: string, timeoutMs = TIMEOUT_MS, method = 'GET'): Promise<Answer | null> {
  return new Promise((resolve) => {
    const options = { method, agent: false, signal: AbortSignal.timeout(timeoutMs) } as const;
    const request = http.request(url, options, (response) => {
      const pieces: Buffer[] = [];
      let size = 0;
      response.on('data', (piece: Buffer) => {
        size += piece.length;
        if (size > MAX_BYTES) response.destroy();
        else pieces.push(piece);
      });
      response.on('error', () => resolve(null));
      response.on('close', () => resolve(null));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString() }));
    });
    request.on('error', () => resolve(null));
    request.end();
  });
}

/** Whether a GET is answered with 200. */
export async function answersOk(url: string): Promise<boolean> {
  return (await ask(url, 500))?.status === 200;
}
