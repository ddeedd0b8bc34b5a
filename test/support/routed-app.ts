/**
 * An application in this process behind a Service `app` with an HTTPRoute of a test's own, asked through a real sidecar that a real control plane told.
 * Test-only.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { serviceWithEndpoint, startFolderMesh, type FolderMesh } from './folder-mesh.ts';
import { startFolderSidecar, type FolderSidecar } from './folder-sidecar.ts';

const POD = { namespace: 'default', name: 'client-1', owner: 'client', serviceAccount: 'client' };
const NAME = 'app:80';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface RoutedApp {
  readonly mesh: FolderMesh;
  readonly sidecar: FolderSidecar;
  ask(method: string, path: string, headers?: Readonly<Record<string, string>>): Promise<Reply>;
}

/** @param rules of the HTTPRoute, as YAML; @param more other objects */
export async function routedApp(t: Test, rules: string, app: RequestListener, more = ''): Promise<RoutedApp> {
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const folder = mkdtempSync(join(tmpdir(), 'tulle-routed-'));
  const { port } = server.address() as AddressInfo;
  const mesh = await startFolderMesh(folder, {
    'app.yaml': serviceWithEndpoint('app', 80, 'http', port),
    'route.yaml': `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: app, namespace: default }
spec:
  parentRefs: [{ group: "", kind: Service, name: app }]
  rules: ${rules}
---
${more}`,
  });
  const sidecar = await startFolderSidecar(mesh, POD, {
    explicitListens: [{ name: NAME, address: '127.0.0.1', port: 0 }],
  });
  t.teardown(async () => {
    await sidecar.close();
    await mesh.close();
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  });
  return { mesh, sidecar, ask: (method, path, headers = {}) => ask(sidecar.port(NAME), method, path, headers) };
}

async function ask(
  port: number,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Reply> {
  const asking = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
  asking.end();
  const [res] = (await once(asking, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of res) text += String(chunk);
  return { status: res.statusCode ?? 0, headers: res.headers, text };
}
