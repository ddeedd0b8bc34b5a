/**
 * TrafficPolicies by what they attach to, and what their status says of each target.
 * Knows which targets exist; the fields themselves are settled elsewhere.
 */
import type { ExternalService } from '../../kinds/external-service.ts';
import type { GrpcRoute } from '../../kinds/grpc-route.ts';
import type { HttpRoute } from '../../kinds/http-route.ts';
import type { Service } from '../../kinds/service.ts';
import type { PolicyTargetRef, TrafficPolicy } from '../../kinds/traffic-policy.ts';
import type { World } from '../../sources/world.ts';
import { byAge, condition, objectStatus, type Condition, type ObjectStatus } from '../conditions.ts';
import { meshPorts } from '../services.ts';
import { grantTable } from '../grants.ts';
import type { Unresolved } from '../references.ts';
import { unresolvedFallback, withoutFallback } from './fallbacks.ts';
import { BACKEND_FIELDS, POLICY_FIELDS, idleBeside, isBackend, misplaced } from './in-force.ts';
import type { Level, Loss, Losses } from './settle.ts';

export interface PolicyTable {
  /** Of a port of a Service or ExternalService: the port's own policies, then those of all of it. */
  levelsOfPort(service: Service | ExternalService, portName: string): readonly Level[];
  /** Of a rule: its own policies, then the route's. */
  levelsOfRule(route: HttpRoute | GrpcRoute, ruleName: string): readonly Level[];
  /** One for each policy, once everything is settled. */
  statuses(losses: Losses): readonly ObjectStatus[];
}

export function policyTable(world: World): PolicyTable {
  const grants = grantTable(world.referenceGrants);
  const attached = [...world.trafficPolicies.values()].sort(byAge).flatMap((written) => {
    const policy = unresolvedFallback(written, world, grants) === null ? written : withoutFallback(written);
    return policy.spec.targetRefs
      .filter((ref) => missingTarget(ref, policy, world) === null)
      .map(({ kind, name, sectionName }) => ({
        policy,
        target: targetName(kind, policy.meta.namespace, name, sectionName),
      }));
  });
  const byTarget = Map.groupBy(attached, ({ target }) => target);
  const levels = (kind: PolicyTargetRef['kind'], namespace: string, name: string, section: string): Level[] =>
    (section === '' ? [''] : [section, ''])
      .map((part) => targetName(kind, namespace, name, part))
      .map((target) => ({ target, policies: [...new Set(byTarget.get(target)?.map(({ policy }) => policy))] }));
  return {
    levelsOfPort: ({ kind, meta }, portName) => levels(kind, meta.namespace, meta.name, portName),
    levelsOfRule: ({ kind, meta }, ruleName) => levels(kind, meta.namespace, meta.name, ruleName),
    statuses: (losses) =>
      [...world.trafficPolicies.values()].map((policy) =>
        policyStatus(policy, world, losses, unresolvedFallback(policy, world, grants)),
      ),
  };
}

function targetName(kind: PolicyTargetRef['kind'], namespace: string, name: string, section: string): string {
  const part = section === '' ? '' : ` ${isBackend(kind) ? 'port' : 'rule'} ${section}`;
  return `${kind} ${namespace}/${name}${part}`;
}

/** Why there is nothing to attach to; null when there is. */
function missingTarget(ref: PolicyTargetRef, policy: TrafficPolicy, world: World): string | null {
  const key = `${policy.meta.namespace}/${ref.name}`;
  if (ref.kind === 'Service') {
    const service = world.services.get(key);
    if (service === undefined) return `Service ${key} does not exist`;
    if (service.spec.type === 'ExternalName')
      return `Service ${key} is of type ExternalName, which the mesh does not carry`;
    return missingSection(ref, `Service ${key}`, 'port', meshPorts(service));
  }
  if (ref.kind === 'ExternalService') {
    const external = world.externalServices.get(key);
    if (external === undefined) return `ExternalService ${key} does not exist`;
    return missingSection(ref, `ExternalService ${key}`, 'port', external.spec.ports);
  }
  const route = (ref.kind === 'GRPCRoute' ? world.grpcRoutes : world.httpRoutes).get(key);
  if (route === undefined) return `${ref.kind} ${key} does not exist`;
  return missingSection(ref, `${ref.kind} ${key}`, 'rule', route.spec.rules);
}

function missingSection(
  ref: PolicyTargetRef,
  target: string,
  what: 'port' | 'rule',
  parts: readonly { readonly name: string }[],
): string | null {
  if (ref.sectionName === '' || parts.some((part) => part.name === ref.sectionName)) return null;
  const names = parts.map((part) => part.name).filter((name) => name !== '');
  return `${target} has no ${what} named ${ref.sectionName}, but ${names.length === 0 ? 'none with a name' : names.join(', ')}`;
}

function policyStatus(
  policy: TrafficPolicy,
  world: World,
  losses: Losses,
  unresolved: Unresolved | null,
): ObjectStatus {
  const parents = policy.spec.targetRefs.map((ref) => {
    const { group, kind, name, sectionName } = ref;
    const missing = missingTarget(ref, policy, world);
    const conditions =
      missing === null
        ? [...attachedConditions(policy, ref, losses), ...resolvedCondition(policy, unresolved)]
        : [condition(policy, 'Accepted', false, 'TargetNotFound', missing)];
    return { ref: { group, kind, namespace: policy.meta.namespace, name, sectionName, port: null }, conditions };
  });
  return objectStatus(policy, { parents });
}

/** Said only when it is false. */
function resolvedCondition(policy: TrafficPolicy, unresolved: Unresolved | null): Condition[] {
  if (unresolved === null) return [];
  const { reason, message } = unresolved;
  return [condition(policy, 'ResolvedRefs', false, reason, `spec.circuitBreaker.fallback.backendRef: ${message}`)];
}

function attachedConditions(policy: TrafficPolicy, ref: PolicyTargetRef, losses: Losses): Condition[] {
  const target = targetName(ref.kind, policy.meta.namespace, ref.name, ref.sectionName);
  const lost = losses.of(policy, target);
  const tell = (conflict: boolean): string =>
    lost
      .filter((loss) => loss.conflict === conflict)
      .map(({ winner, fields }) => `${[...fields].sort().join(', ')} set by ${winner}`)
      .join('; ');
  const conflicted = tell(true);
  const overridden = tell(false);
  const conditions = [
    isEmptied(policy, ref, lost)
      ? condition(policy, 'Accepted', false, 'Conflicted', `no field is left in force: ${conflicted}`)
      : condition(policy, 'Accepted', true, 'Accepted', `attached to ${target}`),
  ];
  if (conflicted !== '') conditions.push(condition(policy, 'Conflicted', true, 'Conflicted', conflicted));
  if (overridden !== '') {
    const message = `for a more specific target: ${overridden}`;
    conditions.push(condition(policy, 'Overridden', true, 'Overridden', message));
  }
  const idleFields = misplaced(policy.spec, ref.kind);
  if (idleFields.length > 0) {
    const message = `in force only on a Service, an ExternalService or one of their ports: ${idleFields.join(', ')}`;
    conditions.push(condition(policy, 'InForce', false, 'WrongTarget', message));
    return conditions;
  }
  const idle = idleBeside(policy.spec);
  if (idle.length > 0) conditions.push(condition(policy, 'InForce', false, 'NoEffect', idle.join('; ')));
  return conditions;
}

/** Every field that could be in force at this target was lost to another policy of the same target. */
function isEmptied(policy: TrafficPolicy, ref: PolicyTargetRef, lost: readonly Loss[]): boolean {
  const conflicts = lost.filter((loss) => loss.conflict);
  const given = POLICY_FIELDS.filter((field) => field.of(policy.spec) !== null);
  const usable = isBackend(ref.kind) ? given : given.filter((field) => !BACKEND_FIELDS.includes(field));
  return usable.length > 0 && usable.every((field) => conflicts.some((loss) => loss.fields.has(field.path)));
}
