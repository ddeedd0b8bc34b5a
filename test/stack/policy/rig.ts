/**
 * A TrafficPolicy in force: a control plane on manifests, a real sidecar process, and applications that do as they are told.
 * Test-only.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { startFolderMesh, type FolderMesh } from '../../support/folder-mesh.ts';
import { manifestOf, serviceAt } from '../../support/manifests.ts';
import { startSidecar, type SidecarProcess } from '../../support/sidecar.ts';

/** What an application does with a request that has come to it as the `count`-th. */
export type Behave = (request: http.IncomingMessage, response: http.ServerResponse, count: number) => void;

export interface App {
  behave: Behave;
  readonly port: number;
  /** Requests so far. */
  readonly requests: number;
  readonly connections: number;
}

export interface Answer {
  /** 0: the connection ended without one. */
  readonly status: number;
  readonly reason: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface Asking {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: http.Agent;
}

export interface PolicyRig {
  readonly apps: readonly App[];
  readonly mesh: FolderMesh;
  readonly sidecar: SidecarProcess;
  ask(asking?: Asking): Promise<Answer>;
  /** Sum of the series of a name whose line has all words. */
  metric(name: string, ...words: string[]): Promise<number>;
  /** Endpoints of the Service as the sidecar's admin page shows them. */
  endpoints(): Promise<readonly { port: number; available: boolean; ejected: string }[]>;
  /** Puts another spec of the policy in force for requests from now on. */
  change(spec: object): Promise<void>;
}

export const ok: Behave = (_request, response) => response.end('ok');
export function status(code: number): Behave {
  return (_request, response) => response.writeHead(code).end(String(code));
}

async function startApp(t: Test, behave: Behave): Promise<App> {
  const app = { behave, port: 0, requests: 0, connections: 0 };
  const server = http.createServer((request, response) => app.behave(request, response, app.requests++));
  server.on('connection', () => app.connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  app.port = (server.address() as AddressInfo).port;
  return app;
}

const HOST = 'web.default:80';

function policy(spec: object): string {
  return JSON.stringify({
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'web', namespace: 'default' },
    spec: { targetRefs: [{ group: '', kind: 'Service', name: 'web' }], ...spec },
  });
}

async function page(port: number, path: string): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}${path}`)).text();
}

/** @param spec of the TrafficPolicy, without targets */
export async function policyRig(t: Test, behaviours: readonly Behave[], spec: object): Promise<PolicyRig> {
  const apps = await Promise.all(behaviours.map((behave) => startApp(t, behave)));
  const folder = t.testdir();
  const mesh = await startFolderMesh(folder, {
    'web.yaml': manifestOf(
      serviceAt(
        'web',
        apps.map(({ port }) => port),
      ),
    ),
    'policy.yaml': policy(spec),
  });
  t.teardown(() => mesh.close());
  const sidecar = await startSidecar(folder, mesh, 'client-1');
  t.teardown(() => sidecar.stop());
  const dump = (): Promise<string> => page(sidecar.adminPort, '/config_dump');
  const ask = (asking: Asking = {}): Promise<Answer> => askAt(sidecar.proxyPort, asking);
  await ask();
  for (const app of apps) Object.assign(app, { requests: 0, connections: 0 });
  return {
    apps,
    mesh,
    sidecar,
    ask,
    metric: async (name, ...words) =>
      (await page(sidecar.metricsPort, '/metrics'))
        .split('\n')
        .filter((line) => line.startsWith(name) && words.every((word) => line.includes(word)))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0),
    endpoints: async () => {
      const clusters = JSON.parse(await page(sidecar.adminPort, '/clusters')) as {
        name: string;
        endpoints: { port: number; available: boolean; ejected: string }[];
      }[];
      return clusters.find(({ name }) => name.startsWith('web.'))?.endpoints ?? [];
    },
    change: async (next) => {
      const before = await dump();
      mesh.write('policy.yaml', policy(next));
      await until(async () => (await dump()) !== before, 'the policy is in force');
    },
  };
}

function askAt(port: number, { path = '/', method = 'GET', headers = {}, agent }: Asking): Promise<Answer> {
  return new Promise((resolve) => {
    const options = {
      host: '127.0.0.1',
      port,
      path,
      method,
      headers: { host: HOST, ...headers },
      agent: agent ?? false,
    };
    const request = http.request(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => {
        const reason = String(response.headers['tulle-reason'] ?? '');
        resolve({ status: response.statusCode ?? 0, reason, headers: response.headers, body });
      });
    });
    request.on('error', (error) => resolve({ status: 0, reason: error.message, headers: {}, body: '' }));
    request.end();
  });
}

export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Holds answers back until they are let go. */
export class Gate {
  readonly #waiting: http.ServerResponse[] = [];
  readonly behave: Behave = (_request, response) => void this.#waiting.push(response);

  get waiting(): number {
    return this.#waiting.length;
  }

  open(): void {
    for (const response of this.#waiting.splice(0)) response.end('late');
  }
}

/** `count` requests, one after the other; how often each status came. */
export async function statuses(rig: PolicyRig, count: number): Promise<Record<number, number>> {
  const seen: Record<number, number> = {};
  for (let i = 0; i < count; i++) {
    const { status: code } = await rig.ask();
    seen[code] = (seen[code] ?? 0) + 1;
  }
  return seen;
}
