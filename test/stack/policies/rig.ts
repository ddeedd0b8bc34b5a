/**
 * A control plane over manifests and two whole sidecars: `web` asks, `echo` answers. What a TrafficPolicy says is in force as users get it.
 * Test-only.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { startFolderMesh, type FolderMesh } from '../../support/folder-mesh.ts';
import { startFolderSidecar, type FolderSidecar } from '../../support/folder-sidecar.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface PolicyRig {
  readonly mesh: FolderMesh;
  readonly web: FolderSidecar;
  readonly echo: FolderSidecar;
  /** What the application of `echo` was asked. */
  readonly asked: readonly IncomingMessage[];
  /** Asks as the application of `web` does. */
  get(
    path: string,
    headers?: Readonly<Record<string, string>>,
    more?: { readonly method?: string; readonly body?: string },
  ): Promise<Answer>;
}

type Application = (asked: IncomingMessage, answer: ServerResponse, index: number) => void;

const says: Application = (_, answer) => void answer.end('hello');

/** A Service with one pod that has a sidecar. */
export function service(name: string, address: string, targetPort: number, port = 80): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec:
  selector: { app: ${name} }
  ports: [{ name: http, port: ${port}, targetPort: ${targetPort}, appProtocol: http }]
---
${pod(name, address)}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: shop, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ name: http, port: ${targetPort} }]
endpoints: [{ addresses: [${address}], conditions: { ready: true }, targetRef: { kind: Pod, name: ${name}-1, namespace: shop } }]
---
`;
}

function pod(name: string, address: string): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name}-1, namespace: shop, labels: { app: ${name} }, annotations: { tulle.dev/inject: enabled } }
spec: { serviceAccountName: ${name}, containers: [{ name: app, image: app }] }
status: { phase: Running, podIP: ${address}, podIPs: [{ ip: ${address} }], conditions: [{ type: Ready, status: 'True' }] }`;
}

/** A TrafficPolicy with this spec, in YAML's flow form, on a target: `kind: Service, name: echo`. */
export function policy(target: string, spec: string, name = 'policy'): string {
  return `
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: ${name}, namespace: shop }
spec: { targetRefs: [{ ${target} }], ${spec} }
---
`;
}

export const SERVICE = "group: '', kind: Service, name: echo";

export async function application(
  t: Test,
  answers: Application = says,
): Promise<{ readonly port: number; readonly asked: IncomingMessage[] }> {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, answer) => {
    asked.push(request);
    answers(request, answer, asked.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, asked };
}

function podNamed(name: string) {
  return { namespace: 'shop', name: `${name}-1`, owner: name, serviceAccount: name };
}

/** @param address loopback address of `echo`; files that run at the same time take different ones */
export async function rig(
  t: Test,
  address: string,
  manifests: string,
  answers: Application = says,
): Promise<PolicyRig> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-policy-'));
  const app = await application(t, answers);
  const yaml = `${service('echo', address, app.port)}\n${pod('web', '127.0.0.40')}\n---\n${manifests}`;
  const mesh = await startFolderMesh(folder, { 'mesh.yaml': yaml });
  const echo = await startFolderSidecar(mesh, podNamed('echo'), { outbound: null, podAddresses: [address] });
  const web = await startFolderSidecar(mesh, podNamed('web'), { podAddresses: [] });
  t.teardown(async () => {
    await web.close();
    await echo.close();
    await mesh.close();
    rmSync(folder, { recursive: true });
  });
  t.same(mesh.warnings, []);
  while (echo.port('inbound') === 0) await echo.settled();
  const get: PolicyRig['get'] = (path, headers = {}, { method = 'GET', body = '' } = {}) =>
    new Promise((resolve, reject) => {
      const request = ask({
        host: '127.0.0.1',
        port: web.port('outbound'),
        path: `http://echo.shop${path}`,
        method,
        headers: { host: 'echo.shop', ...headers },
        agent: false,
      });
      request.once('response', (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
      });
      request.once('error', reject);
      request.end(body);
    });
  return { mesh, web, echo, asked: app.asked, get };
}
