/**
 * Places outside of the mesh for tests: HTTP servers on loopback addresses, in plaintext or with TLS by an authority of their own, that say
 * what they were asked. Test-only.
 */
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import type { Authority } from '../../control-plane/identity/authority.ts';

export interface Outside {
  readonly port: number;
  readonly address: string;
  close(): void;
}

/** `host sni address path`, as the server saw it. */
function answer(name: string) {
  return (req: IncomingMessage, res: ServerResponse): void => {
    const { servername } = req.socket as TLSSocket & { servername?: string | false };
    const { localAddress } = req.socket;
    res.end([name, req.headers.host, servername || '-', localAddress, req.url].join(' '));
  };
}

export function outsideHttp(name: string, address = '127.0.0.1', port = 0): Promise<Outside> {
  return listening(createHttpServer(answer(name)), address, port);
}

/** @param names of its certificate */
export function outsideTls(
  name: string,
  authority: Authority,
  names: readonly string[],
  more: TlsOptions = {},
  address = '127.0.0.1',
): Promise<Outside> {
  const { keyPem, chainPem } = authority.issueServer(names, [], 3_600_000);
  return listening(createTlsServer({ key: keyPem, cert: chainPem, ...more }, answer(name)), address, 0);
}

async function listening(server: Server, address: string, port: number): Promise<Outside> {
  server.listen(port, address);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    address,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

export interface Reply {
  readonly status: number;
  readonly reason: string;
  readonly text: string;
}

/** Asks an HTTP proxy, as an application with `HTTP_PROXY` does. */
export async function askProxy(port: number, url: string, headers: Record<string, string> = {}): Promise<Reply> {
  const { host } = new URL(url);
  return ask(port, url, { host, ...headers });
}

/** @param target as it stands in the request line */
export async function ask(port: number, target: string, headers: Record<string, string> = {}): Promise<Reply> {
  const asking = request({ host: '127.0.0.1', port, path: target, headers, agent: false });
  asking.end();
  const [res] = (await once(asking, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of res) text += String(chunk);
  return { status: res.statusCode ?? 0, reason: String(res.headers['tulle-reason'] ?? ''), text };
}
