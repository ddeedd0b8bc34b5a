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
