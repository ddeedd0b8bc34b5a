/**
 * One file of manifests: its text as objects in good form, and what is wrong with the rest.
 * Knows no folder and no other file; keeps what was good before where the new text is not.
 */
import { type Problem, Problems } from '#base/problems.ts';
import type { Kind } from '../kinds/meta.ts';
import { objectKey } from '../kinds/meta.ts';
import { parseObject } from '../kinds/registry.ts';
import { isRecord } from '../kinds/structure.ts';
import type { SourceProblem } from './source.ts';
import type { AnyObject } from './world.ts';
import { readYaml, type WrittenObject } from './yaml-documents.ts';

/** `TrafficPolicy shop/reviews`: the name of an object among all. */
function objectId(kind: Kind, key: string): string {
  return `${kind} ${key}`;
}

export function idOf(object: AnyObject): string {
  return objectId(object.kind, objectKey(object.meta));
}

export interface ManifestFile {
  readonly text: string;
  /** Those in force, by `objectId`: as written, or where that was refused, as last read in good form. */
  readonly objects: ReadonlyMap<string, AnyObject>;
  readonly problems: readonly SourceProblem[];
  /** How many objects there were of each kind that is not read. */
  readonly skipped: ReadonlyMap<string, number>;
}

/** `lastGood` gives the last good form of an object that this text has no good form of. */
export function readManifestFile(
  file: string,
  text: string,
  previous: ManifestFile | null,
  lastGood: (id: string) => AnyObject | null,
): ManifestFile {
  const problems = new Problems();
  const written = readYaml(file, text, problems);
  if (written === null) return { ...keptFile(previous), text, problems: problems.list.map(wholeFile) };
  const reading: Reading = { file, objects: new Map(), problems: [], skipped: new Map(), lastGood };
  for (const object of written) readOne(object, reading);
  const { objects, skipped } = reading;
  return { text, objects, problems: reading.problems, skipped };
}

/** A problem that is not about one object. */
export function wholeFile(problem: Problem): SourceProblem {
  return { ...problem, object: '' };
}

function keptFile(previous: ManifestFile | null): Pick<ManifestFile, 'objects' | 'skipped'> {
  return previous ?? { objects: new Map(), skipped: new Map() };
}

interface Reading {
  readonly file: string;
  readonly objects: Map<string, AnyObject>;
  readonly problems: SourceProblem[];
  readonly skipped: Map<string, number>;
  readonly lastGood: (id: string) => AnyObject | null;
}

function readOne({ value, place, placeOf }: WrittenObject, reading: Reading): void {
  const { objects, skipped } = reading;
  const problems = new Problems();
  const result = parseObject(value, { problems, place, placeOf });
  if (result.outcome === 'skipped') {
    skipped.set(result.kind, (skipped.get(result.kind) ?? 0) + 1);
    return;
  }
  if (result.outcome === 'refused') {
    const id = result.kind === null ? '' : writtenId(result.kind, value);
    for (const problem of problems.list) reading.problems.push({ ...problem, object: id });
    const kept = id === '' || objects.has(id) ? null : reading.lastGood(id);
    if (kept !== null) objects.set(id, kept);
    return;
  }
  const id = idOf(result.object);
  const first = objects.get(id);
  if (first === undefined) objects.set(id, result.object);
  else reading.problems.push(duplicateProblem(id, result.object, first));
}

/** The first in order is the one that counts. */
export function duplicateProblem(id: string, object: AnyObject, first: AnyObject): SourceProblem {
  const { place } = first;
  const where = place === null ? 'elsewhere' : `${place.file}:${place.line}`;
  const problem: Problem = {
    path: 'metadata.name',
    reason: `${id} is already defined in ${where}, which counts`,
    advice: 'remove or rename one of them',
    place: object.placeOf('metadata.name') ?? undefined,
  };
  return { ...problem, object: id };
}

/** The name of a refused object, as far as it can be made out; '' when it cannot. */
function writtenId(kind: Kind, value: unknown): string {
  const metadata = isRecord(value) ? value['metadata'] : null;
  if (!isRecord(metadata)) return '';
  const { name, namespace } = metadata;
  if (typeof name !== 'string' || name === '') return '';
  const given = typeof namespace === 'string' && namespace !== '' ? namespace : 'default';
  return objectId(kind, objectKey({ name, namespace: kind === 'Namespace' ? '' : given }));
}
