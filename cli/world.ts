/** Manifests as the commands that start nothing read them. */
import path from 'node:path';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { FolderSource } from '../control-plane/sources/folder.ts';
import type { SourceProblems } from '../control-plane/sources/source.ts';
import type { ObjectEvent } from '../control-plane/sources/world.ts';

export interface Manifests {
  /** One for each object in good form. */
  readonly events: readonly ObjectEvent[];
  readonly problems: SourceProblems;
}

/** @param roots folders or files that exist */
export async function readManifests(roots: readonly string[]): Promise<Manifests> {
  const source = new FolderSource({
    roots: roots.map((name) => path.resolve(name)),
    clock: systemClock,
    log: silentLogger,
  });
  const events: ObjectEvent[] = [];
  let problems: SourceProblems = { list: [], dropped: 0 };
  await source.start(
    (batch) => void events.push(...batch),
    (found) => (problems = found),
  );
  await source.close();
  return { events, problems };
}
