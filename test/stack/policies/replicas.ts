/**
 * A Service of several replicas, each at an address of its own, asked through a real sidecar that a real control plane told.
 * Test-only.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { startFolderMesh, type FolderMesh } from '../../support/folder-mesh.ts';
import { startFolderSidecar, type FolderSidecar } from '../../support/folder-sidecar.ts';

const POD = { namespace: 'shop', name: 'web-1', owner: 'web', serviceAccount: 'web' };
const NAME = 'echo:80';
/** Of the replica that a request's `x-slow` names. */
export const SLOW_MS = 400;

export interface Asked {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Loopback address of the client. */
  readonly from?: string;
}

export interface Replicas {
  readonly mesh: FolderMesh;
  readonly sidecar: FolderSidecar;
  /** The address that answered; else the status. */
  ask(asked?: Asked): Promise<string>;
  /** The same with what came beside it. */
  get(asked?: Asked): Promise<{ readonly said: string; readonly headers: IncomingMessage['headers'] }>;
  /** Statuses of `/healthz`, by address; 200 where there is none, no answer at all for 0. */
  readonly health: Map<string, number>;
  /** Health checks that came, with the replica that got them. */
  readonly checks: { readonly address: string; readonly host: string; readonly agent: string }[];
  /** A replica refuses connections, and cuts those that it has. */
  stop(address: string): void;
  /** It takes them again. */
  start(address: string): Promise<void>;
  /** The replicas that the Service has from now on. */
  tell(addresses: readonly string[]): void;
}

export interface ReplicasOptions {
  /** More members of an endpoint of the EndpointSlice, in YAML's flow form: `zone: a`. */
  readonly fields?: (address: string) => string;
  /** What the sidecar is told of its zone. */
  readonly zone?: string;
}

/**
 * @param addresses of loopback; files that run at the same time take different ones. Each replica answers with its own,
 *   after the milliseconds of `x-delay`, and the one that `x-slow` names after `SLOW_MS`; those that `x-fail` names answer 503
 * @param first those that the Service has at first
 */
export async function replicas(
  t: Test,
  addresses: readonly string[],
  manifests: string,
  first: readonly string[] = addresses,
  { fields = () => '', zone = '' }: ReplicasOptions = {},
): Promise<Replicas> {
  const health: Replicas['health'] = new Map();
  const checks: Replicas['checks'] = [];
  const { port, servers } = await listen(t, addresses, health, checks);
  const folder = mkdtempSync(join(tmpdir(), 'tulle-replicas-'));
  const mesh = await startFolderMesh(folder, { 'echo.yaml': service(first, port, fields), 'more.yaml': manifests });
  const listens = { explicitListens: [{ name: NAME, address: '127.0.0.1', port: 0 }] };
  const sidecar = await startFolderSidecar(mesh, POD, listens, zone);
  t.teardown(async () => {
    await sidecar.close();
    await mesh.close();
    rmSync(folder, { recursive: true });
  });
  t.same(mesh.warnings, []);
  return {
    mesh,
    sidecar,
    health,
    checks,
    ask: async (asked = {}) => (await get(sidecar.port(NAME), asked)).said,
    get: (asked = {}) => get(sidecar.port(NAME), asked),
    stop: (address) => {
      servers.get(address)?.close();
      servers.get(address)?.closeAllConnections();
    },
    start: async (address) => {
      const server = servers.get(address)?.listen(port, address);
      if (server !== undefined) await once(server, 'listening');
    },
    tell: (told) => mesh.write('echo.yaml', service(told, port, fields)),
  };
}

async function listen(
  t: Test,
  addresses: readonly string[],
  health: Replicas['health'],
  checks: Replicas['checks'],
): Promise<{ readonly port: number; readonly servers: ReadonlyMap<string, Server> }> {
  const servers = new Map<string, Server>();
  let port = 0;
  for (const address of addresses) {
    const says: RequestListener = (asked, answer) => {
      const { 'x-slow': slow, 'x-fail': fails, 'x-delay': delay = 0 } = asked.headers;
      if (asked.url === '/healthz') {
        const { host = '', 'user-agent': agent = '' } = asked.headers;
        checks.push({ address, host, agent });
        answer.statusCode = health.get(address) ?? 200;
        if (health.get(address) !== 0) answer.end();
        return;
      }
      if (String(fails).split(',').includes(address)) answer.statusCode = 503;
      setTimeout(() => void answer.end(address), slow === address ? SLOW_MS : Number(delay));
    };
    const server = createServer(says).listen(port, address);
    servers.set(address, server);
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
    t.teardown(() => {
      server.close();
      server.closeAllConnections();
    });
  }
  return { port, servers };
}

function service(addresses: readonly string[], port: number, fields: (address: string) => string): string {
  const endpoints = addresses.map(
    (address) => `{ addresses: [${address}], conditions: { ready: true }, ${fields(address)} }`,
  );
  return `
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: shop }
spec: { ports: [{ name: http, port: 80, appProtocol: http }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: echo-1, namespace: shop, labels: { kubernetes.io/service-name: echo } }
addressType: IPv4
ports: [{ name: http, port: ${port} }]
endpoints: [${endpoints.join(', ')}]
`;
}

async function get(port: number, { path = '/', headers = {}, from = '127.0.0.1' }: Asked): ReturnType<Replicas['get']> {
  const asking = request({ host: '127.0.0.1', port, path, headers, agent: false, localAddress: from });
  asking.end();
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return { said: answer.statusCode === 200 ? text : String(answer.statusCode), headers: answer.headers };
}
