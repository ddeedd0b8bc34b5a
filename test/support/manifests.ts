/** Manifests written in a test to a World, by the real parsers. A manifest that is refused fails the test. */
import { Problems, formatProblems } from '#base/problems.ts';
import { parseObject } from '../../control-plane/kinds/registry.ts';
import { WorldStore } from '../../control-plane/sources/world-store.ts';
import type { AnyObject, World } from '../../control-plane/sources/world.ts';
import { readYaml } from '../../control-plane/sources/yaml-documents.ts';

export function objectsOf(yaml: string, file = 'test.yaml'): AnyObject[] {
  const problems = new Problems();
  const objects = (readYaml(file, yaml, problems) ?? []).flatMap(({ value, place, placeOf }) => {
    const result = parseObject(value, { problems, place, placeOf });
    return result.outcome === 'parsed' ? [result.object] : [];
  });
  if (!problems.isEmpty) throw new Error(formatProblems(problems));
  return objects;
}

export function worldOf(yaml: string, file = 'test.yaml'): World {
  const store = new WorldStore();
  store.apply(objectsOf(yaml, file).map((object) => ({ type: 'set', object })));
  return store.world;
}

/** A Service without selector in the namespace `default`, and an EndpointSlice for each port of loopback that it has. */
export function serviceAt(name: string, endpointPorts: readonly number[], port = 80): readonly object[] {
  const metadata = { name, namespace: 'default' };
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ name: 'main', port, appProtocol: 'http' }] } },
    ...endpointPorts.map((endpointPort) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: `${name}-${endpointPort}`,
        namespace: 'default',
        labels: { 'kubernetes.io/service-name': name },
      },
      addressType: 'IPv4',
      ports: [{ name: 'main', port: endpointPort }],
      endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
    })),
  ];
}

/** Objects as one file of manifests. */
export function manifestOf(objects: readonly object[]): string {
  return objects.map((object) => JSON.stringify(object)).join('\n---\n');
}
