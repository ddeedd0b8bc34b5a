/** `loadBalancer.locality.prefer`: which endpoints come first for whom. */
import t from 'tap';
import { Node } from '#api/generated/envoy/config/core/v3/core.ts';
import { TYPE } from '#api/names.ts';
import { compile } from '../../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../../control-plane/compile/compiled.ts';
import type { Client } from '../../../control-plane/generate/client.ts';
import { generateResource } from '../../../control-plane/generate/resources.ts';
import { introduce } from '../../../control-plane/serve/node.ts';
import { decodeEndpoints } from '../../../proxy/config/decode/endpoints.ts';
import { worldOf } from '../../support/manifests.ts';

const POLICY = `---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: near, namespace: shop }
spec: { targetRefs: [{ group: '', kind: Service, name: echo }], loadBalancer: { locality: { prefer: Zone } } }`;

const pod = (name: string, labels: string, selector: string): string => `---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { ${labels} } }
spec: { nodeSelector: { ${selector} }, containers: [{ name: app, image: x }] }
`;

const hint = (zone: string): string => `, hints: { forZones: [{ name: ${zone} }] } }`;

/** A Service of three replicas, and a pod of each zone beside it. */
function manifests(endpoints: readonly string[]): string {
  const zone = 'topology.kubernetes.io/zone: ';
  const pods = [pod('in-a', `${zone} a`, `${zone} c`), pod('in-b', '', `${zone} b`), pod('anywhere', '', '')];
  return `
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: shop }
spec: { ports: [{ port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: echo-1, namespace: shop, labels: { kubernetes.io/service-name: echo } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints: [${endpoints.join(', ')}]
${pods.join('')}`;
}

const PLAIN = [
  '{ addresses: [10.0.0.1], zone: a }',
  '{ addresses: [10.0.0.2], zone: b }',
  '{ addresses: [10.0.0.3], zone: b }',
];

/** Last digits of the addresses, `first | then`. */
function order(yaml: string, client: Partial<Client>): string {
  const { mesh } = compile(worldOf(yaml), DEFAULT_COMPILE_OPTIONS);
  const who: Client = { namespace: 'shop', workload: null, dialect: 'sidecar', ...client };
  const made = generateResource(mesh, who, TYPE.endpoints, 'echo.shop.svc.cluster.local:80', '');
  const decoded = decodeEndpoints(made!.message);
  if (!decoded.ok) throw new Error('refused');
  const levels = Map.groupBy(decoded.value.endpoints, ({ priority = 0 }) => priority);
  return [0, 1, 2]
    .flatMap((priority) => levels.get(priority) ?? [])
    .map(({ address, priority = 0 }) => `${priority}:${address.slice(-1)}`)
    .join(' ');
}

t.test('endpoints of the zone of a client come first, for each kind of client', async (t) => {
  const yaml = manifests(PLAIN) + POLICY;
  for (const dialect of ['sidecar', 'envoy', 'grpc'] as const) {
    t.equal(order(yaml, { dialect, workload: 'shop/in-a' }), '0:1 1:2 1:3', dialect);
    t.equal(order(yaml, { dialect, workload: 'shop/in-b' }), '0:2 0:3 1:1', `${dialect}, by its nodeSelector`);
  }
});

t.test('all are alike without the policy, without a zone of the client, and where its zone has none', async (t) => {
  const alike = '0:1 0:2 0:3';
  t.equal(order(manifests(PLAIN), { workload: 'shop/in-a' }), alike);
  t.equal(order(manifests(PLAIN) + POLICY.replace('Zone', 'None'), { workload: 'shop/in-a' }), alike);
  t.equal(order(manifests(PLAIN) + POLICY, { workload: 'shop/anywhere' }), alike);
  t.equal(order(manifests(PLAIN) + POLICY, { zone: 'c' }), alike);
});

t.test('what a client says of its zone comes before that of its pod', async (t) => {
  const node = Node.fromPartial({ id: 'sidecar~in-a~shop', locality: { zone: 'b' } });
  const said = introduce(node, { namespace: 'shop', serviceAccount: 'default', pod: 'in-a' });
  if (!said.ok) throw new Error(said.error);
  t.equal(order(manifests(PLAIN) + POLICY, said.value.client), '0:2 0:3 1:1');
});

t.test('hints count when each endpoint has some and one is for the zone (KEP-2433)', async (t) => {
  const hinted = PLAIN.map((one, i) => one.replace(' }', hint(i === 0 ? 'b' : 'a')));
  t.equal(order(manifests(hinted) + POLICY, { workload: 'shop/in-a' }), '0:2 0:3 1:1');
  t.equal(order(manifests(hinted) + POLICY, { zone: 'c' }), '0:1 0:2 0:3', 'none is for it');
  const partly = [hinted[0]!, hinted[1]!, PLAIN[2]!];
  t.equal(order(manifests(partly) + POLICY, { workload: 'shop/in-a' }), '0:1 1:2 1:3', 'one has none');
});
