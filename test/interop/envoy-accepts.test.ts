/**
 * Envoy as the judge of what we generate: it must take every resource without a NACK, and route by them.
 * Skips, and says so, where there is no Envoy.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { request } from 'undici';
import { Listener } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { TYPE, type ResourceType } from '#api/names.ts';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import type { Client } from '../../control-plane/generate/client.ts';
import { socketAddress } from '../../control-plane/generate/messages.ts';
import { generateResource, listNames } from '../../control-plane/generate/resources.ts';
import { DeltaAdsServer, type Served } from '../support/delta-ads-server.ts';
import { envoyFlags } from '../support/envoy-bootstrap.ts';
import { freePort } from '../support/ports.ts';
import { worldOf } from '../support/manifests.ts';
import { findTool } from '../support/tools.ts';

const envoy = findTool('envoy');
const skip = envoy === null ? 'no envoy in $ENVOY, .tulle/tools or PATH (npm run tools brings it)' : false;

function manifests(port: number): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: shop }
spec: { clusterIPs: [10.96.0.10, 10.96.0.11], selector: { app: echo }, ports: [{ name: http, port: 80, targetPort: ${port} }, { name: raw, port: 81, targetPort: ${port} }, { name: tcp, port: 82, targetPort: ${port} }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: echo, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: echo, port: 80 }]
  rules:
    - matches: [{ path: { value: /works } }]
      filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-Set, value: 100% }], remove: [X-Gone] } }]
      backendRefs: [{ name: echo, port: 80 }]
      timeouts: { request: 5s, backendRequest: 2s }
    - matches: [{ path: { value: /cors } }]
      filters: [{ type: CORS, cors: { allowOrigins: ["https://*.shop.example"], allowMethods: [PUT], allowCredentials: true } }]
      retry: { codes: [503], attempts: 2, backoff: 50ms }
      backendRefs: [{ name: echo, port: 80 }]
      sessionPersistence: { sessionName: basket, absoluteTimeout: 1h, idleTimeout: 5m, cookieConfig: { lifetimeType: Permanent } }
    - matches: [{ path: { value: /session } }]
      sessionPersistence: { type: Header }
      backendRefs: [{ name: echo, port: 80 }]
    - matches: [{ path: { value: /broken } }]
      backendRefs: [{ name: nobody, port: 80 }]
    - matches: [{ path: { type: RegularExpression, value: "/half/[a-z]+" }, method: GET, headers: [{ name: X-A, value: a }], queryParams: [{ name: q, type: RegularExpression, value: "[0-9]+" }] }]
      backendRefs: [{ name: echo, port: 80 }, { name: nobody, port: 80 }]
    - matches: [{ path: { value: /strip } }]
      filters: [{ type: URLRewrite, urlRewrite: { hostname: inner.example, path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }]
      backendRefs: [{ name: echo, port: 80 }]
    - matches: [{ path: { value: /prefix } }]
      filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /new/ } } }]
      backendRefs: [{ name: echo, port: 80 }]
    - matches: [{ path: { value: /full } }]
      filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /whole } } }]
      backendRefs: [{ name: echo, port: 80 }]
    - matches: [{ path: { value: /away } }]
      filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, statusCode: 308, path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }]
    - matches: [{ path: { value: /there } }]
      filters: [{ type: RequestRedirect, requestRedirect: { hostname: other.example, port: 8443, path: { type: ReplaceFullPath, replaceFullPath: /here } } }]
---
apiVersion: v1
kind: Service
metadata: { name: calls, namespace: shop }
spec: { clusterIPs: [10.96.0.12], selector: { app: echo }, ports: [{ name: grpc, port: 90, targetPort: ${port} }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: calls, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: calls }]
  rules:
    - matches: [{ method: { service: shop.Echo } }, { method: { type: RegularExpression, method: "Get.*" }, headers: [{ name: x-a, value: a }] }]
      filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-set, value: call }] } }]
      backendRefs: [{ name: calls, port: 90 }]
    - matches: [{ method: { service: shop.Nobody, method: Get } }]
      backendRefs: [{ name: nobody, port: 90 }]
---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: calls, namespace: shop }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: GRPCRoute, name: calls }]
  retries: { attempts: 2, retryOn: [], grpc: [cancelled, deadline-exceeded, internal, resource-exhausted, unavailable] }
---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: echo, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: echo }]
  timeouts: { request: 10s, perTry: 2s, idle: 5m, connect: 250ms }
  retries: { attempts: 3, retryOn: [connect-failure, refused-stream, reset, gateway-error, 5xx, retriable-status], statuses: [503], backoff: { base: 50ms, max: 1s } }
  loadBalancer: { policy: Random }
  healthCheck: { http: { path: /works, statuses: [200, 204] }, interval: 1s }
---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: hashed-calls, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: calls }]
  loadBalancer: { policy: Maglev, hashOn: [{ header: x-user }, { cookie: session }, { queryParam: user }, { sourceAddress: true }] }
  healthCheck: { grpc: { service: shop.Echo }, interval: 1s }
---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: hashed-outside, namespace: shop }
spec:
  targetRefs: [{ group: tulle.dev, kind: ExternalService, name: outside }]
  loadBalancer: { policy: RingHash, hashOn: [{ header: x-user }] }
  healthCheck: { tcp: {}, interval: 10s, timeout: 2s, healthyThreshold: 2 }
---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: warm-up, namespace: shop }
spec:
  targetRefs: [{ group: tulle.dev, kind: ExternalService, name: fixed }]
  loadBalancer: { slowStart: 30s }
---
apiVersion: tulle.dev/v1alpha1
kind: ExternalService
metadata: { name: outside, namespace: shop }
spec:
  hosts: [localhost, "*.wild.example"]
  addresses: [10.97.0.1, 10.97.0.2]
  ports:
    - { number: 80, name: http, targetPort: ${port} }
    - { number: 81, targetPort: 443, appProtocol: http, tls: { sni: front.example, minVersion: "1.3" } }
    - { number: 82, appProtocol: grpc, tls: { mode: Insecure } }
    - { number: 5432, name: postgres }
---
apiVersion: tulle.dev/v1alpha1
kind: ExternalService
metadata: { name: fixed, namespace: shop }
spec: { hosts: [fixed.example], resolution: Static, addresses: [127.0.0.1], ports: [{ number: 80, targetPort: ${port}, appProtocol: http }] }
---
apiVersion: tulle.dev/v1alpha1
kind: ExternalService
metadata: { name: through, namespace: shop }
spec: { resolution: PassThrough, addresses: [192.0.2.1, 192.0.2.2], ports: [{ number: 9100 }] }
---
apiVersion: tulle.dev/v1alpha1
kind: MeshPolicy
metadata: { name: default }
spec: { outbound: { unknownDestinations: Refuse } }
---
apiVersion: v1
kind: Service
metadata: { name: secure, namespace: shop }
spec: { clusterIPs: [10.96.0.13], selector: { app: echo }, ports: [{ name: https, port: 443, targetPort: ${port} }, { name: any, port: 444, targetPort: ${port} }, { name: tcp, port: 445, targetPort: ${port} }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: { name: secure, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: secure }]
  hostnames: [a.example, "*.a.example"]
  rules: [{ backendRefs: [{ name: secure, port: 443, weight: 3 }, { name: nobody, port: 443 }] }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: { name: secure-b, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: secure }]
  hostnames: [b.example]
  rules: [{ backendRefs: [{ name: secure, port: 443 }] }]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: { name: secure, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: secure, port: 445 }]
  rules: [{ backendRefs: [{ name: secure, port: 445, weight: 1 }, { name: echo, port: 82, weight: 1 }] }]
---
apiVersion: v1
kind: Service
metadata: { name: plain, namespace: shop }
spec: { selector: { app: echo }, ports: [{ port: 8000, targetPort: ${port} }] }
---
apiVersion: v1
kind: Pod
metadata: { name: echo-1, namespace: shop, labels: { app: echo, topology.kubernetes.io/zone: z1 }, annotations: { tulle.dev/inject: enabled } }
spec: { containers: [{ name: app, image: echo }] }
status: { phase: Running, podIP: 127.0.0.1, conditions: [{ type: Ready, status: "True" }] }
`;
}

/** The listener `outbound` at another port than 15001, so that the test can run anywhere. */
function atPort(served: Served, port: number): Served {
  const listener = Listener.decode(served.message);
  return { ...served, message: Listener.encode({ ...listener, address: socketAddress('127.0.0.1', port) }).finish() };
}

t.test('Envoy takes every resource and routes by them', { skip, timeout: 60_000 }, async (t) => {
  const app = createServer((req, res) => {
    res.end(
      JSON.stringify({
        path: req.url,
        host: req.headers.host,
        set: req.headers['x-set'] ?? '',
        gone: req.headers['x-gone'] ?? '',
      }),
    );
  }).listen(0, '127.0.0.1');
  await once(app, 'listening');
  t.teardown(() => app.close());

  const { mesh, conditions } = compile(
    worldOf(manifests((app.address() as AddressInfo).port)),
    DEFAULT_COMPILE_OPTIONS,
  );
  t.equal(conditions.size, 14);
  const client: Client = { namespace: 'shop', workload: null, dialect: 'envoy' };
  const port = await freePort();
  const ads = new DeltaAdsServer({
    resource: (type: ResourceType, name: string) => {
      const made = generateResource(mesh, client, type, name, '');
      return made !== null && type === TYPE.listener && name === 'outbound' ? atPort(made, port) : made;
    },
    names: (type) => listNames(mesh, client, type),
  });
  const xdsPort = await ads.listen();
  t.teardown(() => ads.close());

  const args = envoyFlags(xdsPort);
  const child = spawn(envoy ?? '', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const types = [TYPE.cluster, TYPE.endpoints, TYPE.listener, TYPE.route];
  const ended = once(child, 'exit').then(() => log);
  const died = await Promise.race([Promise.all(types.map((type) => ads.answered(type))).then(() => ''), ended]);
  t.equal(died, '');
  t.same({ nacks: ads.nacks, acked: types.every((type) => ads.acked.has(type)) }, { nacks: [], acked: true });

  const get = async (path: string, host: string, headers: Record<string, string> = {}): Promise<[number, string]> => {
    const { statusCode, body } = await request(`http://127.0.0.1:${port}${path}`, { headers: { ...headers, host } });
    return [statusCode, await body.text()];
  };
  t.same(await get('/works/a', 'echo.shop.svc.cluster.local:80', { 'x-gone': 'here' }), [
    200,
    JSON.stringify({ path: '/works/a', host: 'echo.shop.svc.cluster.local:80', set: '100%', gone: '' }),
  ]);
  t.same((await get('/', 'plain:8000'))[0], 200, 'a Service without route, by its short name');
  // Envoy spreads requests over both loopback addresses; only one of them has a server.
  const outside = await Promise.all(Array.from({ length: 20 }, () => get('/out', 'localhost')));
  t.ok(
    outside.some(([status, body]) => status === 200 && /"host":"localhost:\d+"/.test(body)),
    'a host outside, resolved by Envoy',
  );
  t.match(await get('/out', 'fixed.example'), [200, /"host":"fixed.example:\d+"/]);
  t.match(await get('/out', 'unknown.example'), [502, 'the mesh does not know this destination']);
  t.same((await get('/worksnot', 'echo'))[0], 404, 'a prefix means whole segments');
  t.match(await get('/broken', 'echo.shop'), [500, /Service shop\/nobody does not exist/]);
  const rewritten = async (path: string): Promise<unknown> => {
    const { path: sent, host } = JSON.parse((await get(path, 'echo'))[1]) as { path: string; host: string };
    return `${host}${sent}`;
  };
  t.same(await Promise.all(['/strip', '/strip/', '/strip/a?b', '/prefix/a', '/full/a/b?c'].map(rewritten)), [
    'inner.example/',
    'inner.example/',
    'inner.example/a?b',
    'echo/new/a',
    'echo/whole?c',
  ]);
  const preflight = await request(`http://127.0.0.1:${port}/cors/a`, {
    method: 'OPTIONS',
    headers: { host: 'echo', origin: 'https://a.b.shop.example', 'access-control-request-method': 'PUT' },
  });
  t.match([preflight.statusCode, preflight.headers['access-control-allow-methods']], [200, 'PUT']);
  await preflight.body.dump();
  const redirected = async (path: string, host: string): Promise<unknown> => {
    const { statusCode, headers, body } = await request(`http://127.0.0.1:${port}${path}`, { headers: { host } });
    await body.dump();
    return [statusCode, headers['location']];
  };
  t.same(await redirected('/away/a?b', 'echo:80'), [308, 'https://echo/a?b']);
  t.same(await redirected('/there', 'echo'), [302, 'http://other.example:8443/here']);
  const call = { 'content-type': 'application/grpc' };
  const grpcStatus = async (path: string): Promise<unknown> => {
    const { headers, body } = await request(`http://127.0.0.1:${port}${path}`, {
      headers: { ...call, host: 'calls:90' },
    });
    await body.dump();
    return headers['grpc-status'];
  };
  t.same(
    [await grpcStatus('/shop.Nobody/Get'), await grpcStatus('/shop.Unknown/Get')],
    ['14', '12'],
    'a call that leads nowhere is UNAVAILABLE, one that no rule knows UNIMPLEMENTED',
  );
  const half = new Set<number>();
  for (let i = 0; i < 40; i++) half.add((await get('/half/way?q=1', 'echo', { 'x-a': 'a' }))[0]);
  t.same(
    [half.size, half.has(200), half.has(500)],
    [2, true, true],
    'the share of a backend that is not there is answered 500',
  );
});
