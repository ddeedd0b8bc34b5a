/**
 * TLSRoutes beside Envoy: the same listener for both, random names in them and random names asked for; the same backend, or none, for each.
 * Skips, and says so, where there is no Envoy.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import { Listener } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { TYPE, type ResourceType } from '#api/names.ts';
import { seededRandom, type Random } from '#base/random.ts';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import { socketAddress } from '../../control-plane/generate/messages.ts';
import { generateResource, listNames } from '../../control-plane/generate/resources.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';
import { decodeListener } from '../../proxy/config/decode/listener.ts';
import { DeltaAdsServer } from '../support/delta-ads-server.ts';
import { envoyFlags } from '../support/envoy-bootstrap.ts';
import { freePort } from '../support/ports.ts';
import { TestAuthority } from '../support/identities.ts';
import { worldOf } from '../support/manifests.ts';
import { findTool } from '../support/tools.ts';
import { change, cluster, endpoint, startWorker } from '../support/worker.ts';

const envoy = findTool('envoy');
const skip = envoy === null ? 'no envoy in $ENVOY, .tulle/tools or PATH (npm run tools brings it)' : false;
const SEED = 7;
const ROUTES = 12;
const ASKS = 150;
const LABELS = ['a', 'b', 'c', 'db', 'x-1'];
const LISTENER = 'db.shop.svc.cluster.local:443';

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

function hostname(random: Random): string {
  const labels = Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(random, LABELS));
  return [...labels, pick(random, ['example', 'test'])].join('.');
}

/** A name, or now and then all names below one. */
function pattern(random: Random): string {
  return random() < 0.4 ? `*.${hostname(random)}` : hostname(random);
}

function service(name: string, port: number): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { clusterIPs: [10.96.1.${port % 250}], ports: [{ name: tls, port: 443 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: shop, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ name: tls, port: ${port} }]
endpoints: [{ addresses: [127.0.0.1], conditions: { ready: true } }]
`;
}

function manifests(random: Random, backends: ReadonlyMap<string, number>): string {
  const names = [...backends.keys()];
  const routes = Array.from({ length: ROUTES }, (_, i) => {
    const hostnames = [...new Set(Array.from({ length: 1 + Math.floor(random() * 4) }, () => pattern(random)))];
    return `
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: { name: r${i}, namespace: shop, creationTimestamp: '2026-01-01T00:00:${String(i).padStart(2, '0')}Z' }
spec:
  parentRefs: [{ group: '', kind: Service, name: db }]
  hostnames: ${JSON.stringify(hostnames)}
  rules: [{ backendRefs: [{ name: ${pick(random, names)}, port: 443 }] }]
`;
  });
  return [service('db', 1), ...Array.from(backends, ([name, port]) => service(name, port)), ...routes].join('---');
}

async function backend(t: Test, name: string): Promise<number> {
  const { certChainPem: cert, privateKeyPem: key } = new TestAuthority().identity(name);
  const server = createTlsServer({ cert, key }, (socket) => {
    socket.on('error', () => undefined);
    socket.end(name);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** The backend that answers; `refused` when none does. */
function ask(port: number, servername: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: '127.0.0.1', port, servername, rejectUnauthorized: false });
    socket.on('data', (chunk: Buffer) => resolve(chunk.toString()));
    socket.on('error', () => resolve('refused'));
    socket.on('close', () => resolve('refused'));
  });
}

async function startEnvoy(t: Test, mesh: Mesh): Promise<number> {
  const client = { namespace: 'shop', workload: null, dialect: 'envoy' } as const;
  const port = await freePort();
  const ads = new DeltaAdsServer({
    resource: (type: ResourceType, name: string) => {
      const made = generateResource(mesh, client, type, name, '');
      if (made === null || name !== LISTENER || type !== TYPE.listener) return made;
      // At a port of its own, for there are no iptables here that would lead to it.
      const listener = {
        ...Listener.decode(made.message),
        address: socketAddress('127.0.0.1', port),
        bindToPort: true,
      };
      return { ...made, message: Listener.encode(listener).finish() };
    },
    names: (type) => (type === TYPE.listener ? [LISTENER] : listNames(mesh, client, type)),
  });
  const xdsPort = await ads.listen();
  t.teardown(() => ads.close());
  const child = spawn(envoy ?? '', envoyFlags(xdsPort), { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  await Promise.all([TYPE.cluster, TYPE.endpoints, TYPE.listener].map((type) => ads.answered(type)));
  t.same(ads.nacks, []);
  return port;
}

/** Our worker, told the same listener and the same endpoints. */
async function startOurs(t: Test, mesh: Mesh, backends: ReadonlyMap<string, number>): Promise<number> {
  const client = { namespace: 'shop', workload: null, dialect: 'sidecar' } as const;
  const listener = decodeListener(
    generateResource(mesh, client, TYPE.listener, LISTENER, '')?.message ?? Buffer.alloc(0),
  );
  if (!listener.ok) throw new Error(JSON.stringify(listener.error.list));
  const clusters = Array.from(backends, ([name, port]) => {
    const full = `${name}.shop.svc.cluster.local:443`;
    return [full, cluster(full, [endpoint(port)])] as const;
  });
  const answer = change({
    clusters: new Map(clusters),
    listeners: new Map([[LISTENER, listener.value]]),
    destinations: new Map([[LISTENER, 'ready' as const]]),
  });
  const explicitListens = [{ name: LISTENER, address: '127.0.0.1', port: 0 }];
  const worker = await startWorker({ explicitListens }, new Map([[LISTENER, answer]]));
  t.teardown(() => worker.close());
  return worker.port(LISTENER);
}

t.test('each server name goes where Envoy sends it', { skip, timeout: 60_000 }, async (t) => {
  const random = seededRandom(SEED);
  const backends = new Map<string, number>();
  for (const name of ['one', 'two', 'three']) backends.set(name, await backend(t, name));
  const { mesh } = compile(worldOf(manifests(random, backends)), DEFAULT_COMPILE_OPTIONS);
  const [theirs, ours] = [await startEnvoy(t, mesh), await startOurs(t, mesh, backends)];
  const names = new Set(Array.from({ length: ASKS }, () => hostname(random)));
  const differences: string[] = [];
  const reached = new Map<string, number>();
  for (const name of names) {
    const [envoySays, weSay] = [await ask(theirs, name), await ask(ours, name)];
    reached.set(envoySays, (reached.get(envoySays) ?? 0) + 1);
    if (envoySays !== weSay) differences.push(`${name}: ${weSay}, Envoy ${envoySays}`);
  }
  t.same(differences, [], `seed ${SEED}`);
  t.equal(reached.size, 4, `every outcome is met: ${JSON.stringify(Object.fromEntries(reached))}`);
});
