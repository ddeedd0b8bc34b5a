/**
 * What changes, and for whom, when objects are put over those that are there: compiled twice by the compiler that a mesh has, and
 * compared. Knows no file and starts nothing; how it is shown stands in text.ts.
 */
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import type { Conditions } from '../../control-plane/compile/conditions.ts';
import { objectKey } from '../../control-plane/kinds/meta.ts';
import { WorldStore } from '../../control-plane/sources/world-store.ts';
import type { AnyObject, ObjectEvent, World } from '../../control-plane/sources/world.ts';
import { troubleOf } from '../../control-plane/status/writer.ts';
import { differences, type Difference } from './differences.ts';
import { portChanges, type PortChange } from './ports.ts';
import { toldAnew, type Subscriber, type Told } from './sidecars.ts';
import { StandIns } from './stand-ins.ts';
import { outboundChanges, workloadChanges, type WorkloadChange } from './workloads.ts';

export interface ObjectChange {
  readonly object: string;
  readonly change: 'added' | 'changed' | 'removed';
  /** Of its spec and metadata, for one that is changed. */
  readonly differences: readonly Difference[];
  /** Where it is written now; null: nowhere. */
  readonly file: string | null;
  readonly line: number;
}

/** The shape of `tulle plan -o json`; fields are added, never renamed. */
export interface ChangePlan {
  /** By kind and name. */
  readonly objects: readonly ObjectChange[];
  readonly unchanged: number;
  /** Of Services and ExternalServices. */
  readonly ports: readonly PortChange[];
  readonly workloads: readonly WorkloadChange[];
  /** Of what holds for all that applications call. */
  readonly outbound: readonly Difference[];
  /** What statuses complain of. */
  readonly trouble: { readonly appears: readonly string[]; readonly goes: readonly string[] };
  readonly sidecars: Told;
}

/**
 * @param base what there is
 * @param events what is put over it
 * @param subscribers of a mesh that runs; null: every workload may ask for everything
 */
export function planChange(
  base: World,
  events: readonly ObjectEvent[],
  clusterDomain: string,
  subscribers: readonly Subscriber[] | null,
): ChangePlan {
  const options = { ...DEFAULT_COMPILE_OPTIONS, clusterDomain };
  const standIns = new StandIns();
  const next = changed(base, events);
  const before = compile(changed(base, standIns.missingIn(base)), options);
  const after = compile(changed(next, standIns.missingIn(next)), options, before);
  const objects = events.flatMap((event) => objectChange(event, base));
  return {
    objects: objects.toSorted((a, b) => (a.object < b.object ? -1 : 1)),
    unchanged: events.length - objects.length,
    ports: portChanges(before, after),
    workloads: workloadChanges(before.mesh, after.mesh),
    outbound: outboundChanges(before.mesh, after.mesh),
    trouble: troubleChanges(complaints(before.conditions, base), complaints(after.conditions, next)),
    sidecars: toldAnew(before.mesh, after.mesh, subscribers),
  };
}

function changed(world: World, events: readonly ObjectEvent[]): World {
  const store = new WorldStore(world);
  store.apply(events);
  return store.world;
}

function objectChange(event: ObjectEvent, world: World): readonly ObjectChange[] {
  const kind = event.type === 'set' ? event.object.kind : event.kind;
  const key = event.type === 'set' ? objectKey(event.object.meta) : event.key;
  const old = find(world, kind, key);
  const object = `${kind} ${key}`;
  if (event.type === 'delete') {
    return old === undefined ? [] : [{ object, change: 'removed', differences: [], file: null, line: 0 }];
  }
  const { file, line } = event.object.place ?? { file: null, line: 0 };
  if (old === undefined) return [{ object, change: 'added', differences: [], file, line }];
  const found = differences(withoutPlace(old), withoutPlace(event.object));
  return found.length === 0 ? [] : [{ object, change: 'changed', differences: found, file, line }];
}

function find(world: World, kind: string, key: string): AnyObject | undefined {
  for (const map of Object.values(world) as ReadonlyMap<string, AnyObject>[]) {
    const object = map.get(key);
    if (object?.kind === kind) return object;
  }
  return undefined;
}

function withoutPlace({ place: _place, placeOf: _placeOf, ...object }: AnyObject): object {
  return object;
}

type Complaints = ReadonlyMap<string, string>;

/** An object that is written elsewhere now is complained of as before. */
function troubleChanges(before: Complaints, after: Complaints): ChangePlan['trouble'] {
  const missing = (from: Complaints, there: Complaints): readonly string[] =>
    [...from].filter(([text]) => !there.has(text)).map(([, line]) => line);
  return { appears: missing(after, before), goes: missing(before, after) };
}

/** Each line by what it says without the place. Stand-ins are nobody's to mend. */
function complaints(conditions: Conditions, { pods }: World): Complaints {
  const lines = [...conditions].flatMap(([key, status]) => {
    if (status.kind === 'Pod' && !pods.has(objectKey(status))) return [];
    const texts = troubleOf(new Map([[key, { ...status, place: null }]]));
    const placed = troubleOf(new Map([[key, status]]));
    return texts.map((text, i) => [text, placed[i] ?? text] as const);
  });
  return new Map(lines.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
