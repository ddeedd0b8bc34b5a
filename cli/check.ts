/**
 * `tulle check FOLDER`: every problem in the manifests, and what the status of each route and policy would say. Starts nothing.
 */
import { existsSync } from 'node:fs';
import { compile } from '../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../control-plane/compile/compiled.ts';
import { WorldStore } from '../control-plane/sources/world-store.ts';
import { allConditions, troubleOf } from '../control-plane/status/writer.ts';
import { undeclaredPorts, type Detections } from './check-protocols.ts';
import { problemLines } from './run/manifests.ts';
import { readManifests } from './world.ts';

/** Writes what it found; the exit code: 0 when nothing is wrong. A port that is undeclared is not wrong, only named. */
export async function check(
  folder: string,
  clusterDomain: string,
  write: (line: string) => void,
  detections: Detections = new Map(),
): Promise<number> {
  if (!existsSync(folder)) {
    write(`${folder} does not exist`);
    return 1;
  }
  const { events, problems } = await readManifests([folder]);
  const store = new WorldStore();
  store.apply(events);
  const { conditions } = compile(store.world, { ...DEFAULT_COMPILE_OPTIONS, clusterDomain });
  const trouble = troubleOf(conditions);
  for (const line of problemLines(problems)) write(line);
  for (const line of trouble) write(line);
  for (const line of undeclaredPorts(store.world.services, detections)) write(line);
  const wrong = problems.list.length + problems.dropped + trouble.length;
  if (wrong > 0) {
    write(`${wrong} ${wrong === 1 ? 'thing is' : 'things are'} wrong`);
    return 1;
  }
  for (const line of allConditions(conditions)) write(line);
  const objects = Object.values(store.world).reduce((sum, map: ReadonlyMap<string, unknown>) => sum + map.size, 0);
  write(`${objects} objects, nothing wrong`);
  return 0;
}
