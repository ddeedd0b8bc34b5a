/** A change of one of 1,000 Services touches only what depends on it: counted in what is compiled anew, and in what a client is told. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { TYPE } from '#api/names.ts';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import { WorldStore } from '../../control-plane/sources/world-store.ts';
import { DeltaStream } from '../support/ads-client.ts';
import { serviceWithEndpoint, startFolderMesh } from '../support/folder-mesh.ts';
import { objectsOf } from '../support/manifests.ts';

t.setTimeout(120_000);
const COUNT = 1000;
const NAMES = Array.from({ length: COUNT }, (_, i) => `s${i}`);
const TYPES = [TYPE.listener, TYPE.route, TYPE.cluster, TYPE.endpoints] as const;
const MANY = NAMES.map((name, i) => serviceWithEndpoint(name, 80, 'http', 10_000 + i)).join('\n---\n');

const full = (name: string): string => `${name}.default.svc.cluster.local:80`;

function policy(name: string, spec: string): string {
  return `
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: ${name}, namespace: default }
spec: { targetRefs: [{ group: '', kind: Service, name: ${name} }], ${spec} }
---
`;
}

t.test('of 1,000 Services one is compiled anew, and all others stay the very same objects', async (t) => {
  const store = new WorldStore();
  const apply = (yaml: string): void =>
    void store.apply(objectsOf(yaml).map((object) => ({ type: 'set', object }) as const));
  apply(MANY);
  const before = compile(store.world, DEFAULT_COMPILE_OPTIONS);
  apply(policy('s500', 'timeouts: { request: 5s }'));
  const after = compile(store.world, DEFAULT_COMPILE_OPTIONS, before);
  const changed = [...after.mesh.services].filter(([key, service]) => before.mesh.services.get(key) !== service);
  t.same(
    changed.map(([key]) => key),
    ['default/s500'],
  );
  const moved = [...after.mesh.endpoints].filter(([key, endpoints]) => before.mesh.endpoints.get(key) !== endpoints);
  t.equal(moved.length, 0, 'endpoints of nobody');
});

t.test('a client that follows all of them is told of the one resource that is another', async (t) => {
  const mesh = await startFolderMesh(t.testdir(), { 'many.yaml': MANY });
  t.teardown(() => mesh.close());
  const pod = { namespace: 'default', serviceAccount: 'default', pod: 'client-1' };
  const proof = { ca: readFileSync(mesh.caFile, 'utf8'), token: mesh.issueToken(pod, 600_000) };
  const stream = new DeltaStream(mesh.xdsAddress, proof, { id: 'client-1', userAgentName: 'tulle' });
  t.teardown(() => stream.close());
  for (const type of TYPES) stream.subscribe(type, ...NAMES.map(full));
  /** The resources of the next answer, which is acked. */
  const told = async (): Promise<readonly string[]> => {
    const [kind = '', names = ''] = (await stream.said()).split(': ');
    stream.answer();
    return names === '' ? [] : names.split(' ').map((name) => `${kind} ${name}`);
  };
  let first = 0;
  while (first < COUNT * TYPES.length) first += (await told()).length;
  t.equal(first, COUNT * TYPES.length, 'everything once');

  mesh.write('policies.yaml', policy('s500', 'timeouts: { request: 5s }'));
  t.same(await told(), [`route ${full('s500')}`], 'a timeout of requests is the route');
  mesh.write('policies.yaml', policy('s500', 'timeouts: { request: 5s, connect: 2s }'));
  const both = [...(await told()), ...(await told())];
  t.same(
    both,
    [`cluster ${full('s500')}`, `endpoints ${full('s500')}`],
    'a timeout of connections is the cluster, whose endpoints come again',
  );
  // Whatever else had been pushed would have come before this.
  stream.subscribe(TYPE.cluster, full('nobody'));
  t.same(await told(), [`cluster -${full('nobody')}`]);
});
