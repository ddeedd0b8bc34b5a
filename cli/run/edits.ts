/**
 * What changed between two Worlds, in the words of someone who watches the mesh: splits, replicas, timeouts. Pure.
 */
import type { GrpcRoute } from '../../control-plane/kinds/grpc-route.ts';
import type { HttpRoute } from '../../control-plane/kinds/http-route.ts';
import type { KubeObject } from '../../control-plane/kinds/meta.ts';
import type { World } from '../../control-plane/sources/world.ts';
import { revisionOf } from './replica-plan.ts';

/** One line a change; empty when nothing changed that concerns a folder. */
export function describeEdits(before: World, after: World): readonly string[] {
  return [
    ...compareMaps(before.httpRoutes, after.httpRoutes, describeRoute),
    ...compareMaps(before.grpcRoutes, after.grpcRoutes, describeRoute),
    ...compareMaps(before.referenceGrants, after.referenceGrants, (a, b) => describeFields(b, a.spec, b.spec)),
    ...compareMaps(before.trafficPolicies, after.trafficPolicies, (a, b) => describeFields(b, a.spec, b.spec)),
    ...compareMaps(before.deployments, after.deployments, (a, b) => [
      ...(a.spec.replicas === b.spec.replicas
        ? []
        : [`${b.meta.name}: ${a.spec.replicas} -> ${b.spec.replicas} replicas`]),
      ...(revisionOf(a) === revisionOf(b) ? [] : [`${b.meta.name}: new template, rolling out`]),
    ]),
    ...compareMaps(before.services, after.services, (a, b) => describeFields(b, a.spec, b.spec)),
    // Certificates are no reading matter.
    ...compareMaps(before.externalServices, after.externalServices, (_, b) => [`${b.kind} ${b.meta.name} changed`]),
    ...compareMaps(before.meshPolicies, after.meshPolicies, (a, b) => describeFields(b, a.spec, b.spec)),
  ];
}

function compareMaps<T extends KubeObject>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  describe: (before: T, after: T) => readonly string[],
): readonly string[] {
  if (before === after) return [];
  const lines: string[] = [];
  for (const [key, object] of after) {
    const old = before.get(key);
    if (old === undefined) lines.push(`${object.kind} ${key} is new`);
    else if (old !== object) lines.push(...describe(old, object));
  }
  for (const [key, object] of before) if (!after.has(key)) lines.push(`${object.kind} ${key} is gone`);
  return lines;
}

/** A change of weights is said as the split that it makes; anything else by its fields. */
function describeRoute(before: HttpRoute | GrpcRoute, after: HttpRoute | GrpcRoute): readonly string[] {
  const lines = after.spec.rules.flatMap((rule, i) => {
    const old = before.spec.rules[i];
    if (old === undefined || split(rule) === split(old)) return [];
    const names = rule.backendRefs.map((b) => b.name).join(', ');
    return [`${after.meta.name} split now ${split(rule)} (${names})`];
  });
  return lines.length > 0 ? lines : describeFields(after, before.spec, after.spec);
}

/** Shares in percent: `80/20`. */
function split(rule: (HttpRoute | GrpcRoute)['spec']['rules'][number]): string {
  const total = rule.backendRefs.reduce((sum, b) => sum + b.weight, 0);
  return rule.backendRefs.map((b) => (total === 0 ? 0 : Math.round((100 * b.weight) / total))).join('/');
}

const MAX_FIELDS = 5;

function describeFields(object: KubeObject, before: unknown, after: unknown): readonly string[] {
  const old = leaves(before);
  const now = leaves(after);
  const paths = [...new Set([...old.keys(), ...now.keys()])].filter((path) => old.get(path) !== now.get(path));
  if (paths.length === 0) return [];
  const shown = paths
    .slice(0, MAX_FIELDS)
    .map((path) => `${path} ${old.get(path) ?? 'unset'} -> ${now.get(path) ?? 'unset'}`);
  const rest = paths.length > MAX_FIELDS ? ` and ${paths.length - MAX_FIELDS} more` : '';
  return [`${object.kind} ${object.meta.name}: ${shown.join(', ')}${rest}`];
}

/** Every plain value by its path; null counts as not given. */
function leaves(value: unknown, path = '', found = new Map<string, string>()): ReadonlyMap<string, string> {
  if (value === null || value === undefined) return found;
  if (typeof value !== 'object') {
    found.set(path, typeof value === 'string' ? value : JSON.stringify(value));
    return found;
  }
  for (const [key, inner] of Object.entries(value)) {
    leaves(inner, Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`, found);
  }
  return found;
}
