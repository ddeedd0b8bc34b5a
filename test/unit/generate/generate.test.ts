/**
 * Resources as their readers see them: the sidecar's own decoders accept all of them, what is asked for by many is made once,
 * and what did not change keeps its version.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Node } from '#api/generated/envoy/config/core/v3/core.ts';
import { inboundCluster, PASSTHROUGH_CLUSTER, TYPE, type ResourceType } from '#api/names.ts';
import { formatProblems, type Problems } from '#base/problems.ts';
import type { Result } from '#base/result.ts';
import { compile } from '../../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../../control-plane/compile/compiled.ts';
import type { Client } from '../../../control-plane/generate/client.ts';
import { generateResource, GeneratorCache, listNames } from '../../../control-plane/generate/resources.ts';
import type { Mesh } from '../../../control-plane/model/mesh.ts';
import { introduce } from '../../../control-plane/serve/node.ts';
import { decodeCluster } from '../../../proxy/config/decode/cluster.ts';
import { decodeEndpoints } from '../../../proxy/config/decode/endpoints.ts';
import { decodeListener } from '../../../proxy/config/decode/listener.ts';
import { decodeRoute } from '../../../proxy/config/decode/route.ts';
import { worldOf } from '../../support/manifests.ts';

const GOLDEN = join(import.meta.dirname, '..', '..', 'golden', 'compile');
const ENVOY: Client = { namespace: 'shop', workload: null, dialect: 'envoy' };
const DESTINATION: readonly ResourceType[] = [TYPE.listener, TYPE.route, TYPE.cluster, TYPE.endpoints];

const DECODERS: Partial<Record<ResourceType, (bytes: Uint8Array) => Result<unknown, Problems>>> = {
  [TYPE.listener]: decodeListener,
  [TYPE.route]: decodeRoute,
  [TYPE.cluster]: decodeCluster,
  [TYPE.endpoints]: decodeEndpoints,
};

/** Everything that a sidecar of this workload could ask for. */
function names(mesh: Mesh, workload: string): (readonly [ResourceType, string])[] {
  const own = mesh.workloads.get(workload);
  const services = listNames(mesh, ENVOY, TYPE.endpoints);
  const pods = [...mesh.workloads.values()].flatMap(({ addresses }) => addresses.map((a) => `${a}:8080`));
  return [
    ...[...services, ...pods.filter((name) => !name.includes('::'))].flatMap((name) =>
      DESTINATION.map((type) => [type, name] as const),
    ),
    [TYPE.listener, 'inbound'],
    [TYPE.cluster, PASSTHROUGH_CLUSTER],
    ...(own?.inboundPorts ?? []).map(({ port }) => [TYPE.cluster, inboundCluster(port)] as const),
  ];
}

t.test('a sidecar takes everything that it can be sent', async (t) => {
  for (const file of readdirSync(GOLDEN).filter((name) => name.endsWith('.in.yaml'))) {
    const { mesh } = compile(worldOf(readFileSync(join(GOLDEN, file), 'utf8')), DEFAULT_COMPILE_OPTIONS);
    const refused: string[] = [];
    for (const workload of mesh.workloads.keys()) {
      const client: Client = { namespace: 'web', workload, dialect: 'sidecar' };
      for (const [type, name] of names(mesh, workload)) {
        const made = generateResource(mesh, client, type, name, '');
        if (made === null) refused.push(`${type} ${name}: nothing was made`);
        const decoded = made === null ? undefined : DECODERS[type]?.(made.message);
        if (decoded?.ok === false) refused.push(`${type} ${name}: ${formatProblems(decoded.error)}`);
      }
    }
    t.same(refused, [], file);
  }
});

const YAML = `
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: shop }
spec: { clusterIPs: [10.96.0.10, 10.96.0.11], selector: { app: reviews }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: details, namespace: shop }
spec: { selector: { app: details }, ports: [{ name: http, port: 80 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: web }
spec:
  parentRefs: [{ group: "", kind: Service, name: reviews, namespace: shop }]
  rules: [{ backendRefs: [{ name: reviews, namespace: shop, port: 80 }], timeouts: { request: 1s } }]
`;
const REVIEWS = 'reviews.shop.svc.cluster.local:80';

t.test('a thousand clients that ask for the same cost one encoding', async (t) => {
  const { mesh } = compile(worldOf(YAML), DEFAULT_COMPILE_OPTIONS);
  const cache = new GeneratorCache();
  const versions = new Set<string | undefined>();
  for (let i = 0; i < 1000; i++) {
    const client: Client = { namespace: `ns-${i}`, workload: null, dialect: 'sidecar' };
    for (const type of [...DESTINATION, TYPE.secret]) {
      const name = type === TYPE.secret ? 'ROOTCA' : REVIEWS;
      const made = cache.generate(mesh, client, type, name, 'pem');
      versions.add(made?.version);
    }
  }
  t.same([cache.encodings, versions.size], [5, 5]);

  const consumer: Client = { namespace: 'web', workload: null, dialect: 'sidecar' };
  const route = cache.generate(mesh, consumer, TYPE.route, REVIEWS, 'pem');
  t.equal(cache.encodings, 6, 'a namespace with routes of its own gets another table');
  t.same(route, generateResource(mesh, consumer, TYPE.route, REVIEWS, 'pem'), 'the cache changes nothing');
});

t.test('a change of one Service makes nothing of another anew', async (t) => {
  const cache = new GeneratorCache();
  const client: Client = { namespace: 'shop', workload: null, dialect: 'sidecar' };
  const first = compile(worldOf(YAML), DEFAULT_COMPILE_OPTIONS);
  const all = (mesh: Mesh): (string | undefined)[] =>
    listNames(mesh, ENVOY, TYPE.cluster).flatMap((name) =>
      DESTINATION.map((type) => cache.generate(mesh, client, type, name, '')?.version),
    );
  all(first.mesh);
  const before = cache.encodings;
  const changed = worldOf(YAML.replace('app: details }, ports: [{ name: http', 'app: details }, ports: [{ name: tcp'));
  all(compile(changed, DEFAULT_COMPILE_OPTIONS, first).mesh);
  t.equal(cache.encodings - before, 2, 'the listener and the cluster of the Service whose protocol changed');
});

t.test('who asks for everything gets it, who should not gets nothing', async (t) => {
  const { mesh } = compile(worldOf(YAML), DEFAULT_COMPILE_OPTIONS);
  t.same(
    [TYPE.listener, TYPE.cluster, TYPE.secret].map((type) => listNames(mesh, ENVOY, type)),
    [
      ['10.96.0.11:80', 'outbound', REVIEWS],
      ['blackhole', 'details.shop.svc.cluster.local:80', 'passthrough', REVIEWS],
      ['ROOTCA'],
    ],
  );
  t.same(listNames(mesh, { ...ENVOY, dialect: 'sidecar' }, TYPE.cluster), []);
  const asked: (readonly [ResourceType, string])[] = [
    [TYPE.listener, 'inbound'],
    [TYPE.listener, 'nobody.shop:80'],
    [TYPE.cluster, 'inbound|80'],
    [TYPE.cluster, 'reviews:80'],
    [TYPE.secret, 'default'],
  ];
  t.same(
    asked.map(([type, name]) => generateResource(mesh, ENVOY, type, name, '')),
    asked.map(() => null),
  );
});

t.test('the inbound side of a workload is told to who has proven to be it, or to run as it', (t) => {
  const pod =
    '{ apiVersion: v1, kind: Pod, metadata: { name: cart-1, namespace: shop }, spec: { serviceAccountName: cart, containers: [{ name: app, image: x }] } }';
  const { mesh } = compile(worldOf(pod), DEFAULT_COMPILE_OPTIONS);
  const node = Node.fromPartial({ id: 'sidecar~cart-1~shop', userAgentName: 'tulle' });
  const isTold = (serviceAccount: string, pod: string | null): boolean => {
    const introduction = introduce(node, { namespace: 'shop', serviceAccount, pod });
    if (!introduction.ok) throw new Error(introduction.error);
    return generateResource(mesh, introduction.value.client, TYPE.listener, 'inbound', '') !== null;
  };
  t.same({ token: isTold('cart', 'cart-1'), certificate: isTold('cart', null) }, { token: true, certificate: true });
  t.same({ other: isTold('web', null), anonymous: isTold('', null) }, { other: false, anonymous: false });
  t.end();
});
