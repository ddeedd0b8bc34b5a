/**
 * Which object sets each policy field of a route and of a backend, and where it is written: the compiler's own settling, listened to.
 * Knows no particular field, so that a new one appears by itself.
 */
import type { Place } from '#base/problems.ts';
import type { ExternalService } from '../../kinds/external-service.ts';
import type { GrpcRoute } from '../../kinds/grpc-route.ts';
import type { HttpRoute } from '../../kinds/http-route.ts';
import { objectKey } from '../../kinds/meta.ts';
import type { Service } from '../../kinds/service.ts';
import type { World } from '../../sources/world.ts';
import { backendPolicy, routePolicy, type OwnPolicy } from './in-force.ts';
import { Losses, settler, type Win, type Wins } from './settle.ts';
import { policyTable } from './targets.ts';

export interface Setting {
  /** As in a TrafficPolicy: `spec.timeouts.request`. */
  readonly path: string;
  /** As checked, durations in milliseconds; null: the default. */
  readonly value: unknown;
  /** `TrafficPolicy shop/reviews`, `HTTPRoute shop/reviews`; empty: the default. */
  readonly setBy: string;
  /** What the policy is attached to; empty for the default and for what a route says itself. */
  readonly target: string;
  readonly place: Place | null;
}

/** A rule of a route as the manifests have it. */
export interface RuleSource {
  readonly route: HttpRoute | GrpcRoute;
  /** From 0. */
  readonly index: number;
}

/** The rule that the compiler calls `namespace/route/rule`; null when there is none. */
export function ruleNamed(world: World, name: string, grpc: boolean): RuleSource | null {
  for (const route of (grpc ? world.grpcRoutes : world.httpRoutes).values()) {
    const index = route.spec.rules.findIndex((rule, i) => name === `${objectKey(route.meta)}/${rule.name || i}`);
    if (index >= 0) return { route, index };
  }
  return null;
}

/**
 * What holds for requests of a rule to a port of a Service or ExternalService.
 * @param rule null: the default route
 */
export function routeSettings(
  world: World,
  service: Service | ExternalService,
  portName: string,
  rule: RuleSource | null,
): readonly Setting[] {
  const table = policyTable(world);
  const wins: Wins = new Map();
  const ports = table.levelsOfPort(service, portName);
  const source = rule?.route.spec.rules[rule.index];
  const own: OwnPolicy | null =
    source !== undefined && 'timeouts' in source ? { timeouts: source.timeouts, retry: source.retry } : null;
  const levels = rule === null ? ports : [...table.levelsOfRule(rule.route, source?.name ?? ''), ...ports];
  routePolicy(settler(levels, new Losses(), '', wins), own);
  return settings(wins, rule);
}

/** What holds for connections to such a port. */
export function backendSettings(
  world: World,
  service: Service | ExternalService,
  portName: string,
): readonly Setting[] {
  const wins: Wins = new Map();
  backendPolicy(settler(policyTable(world).levelsOfPort(service, portName), new Losses(), '', wins));
  return settings(wins, null);
}

function settings(wins: Wins, rule: RuleSource | null): readonly Setting[] {
  return [...wins].map(([path, win]) => settingOf(path, win, rule));
}

function settingOf(path: string, win: Win | null, rule: RuleSource | null): Setting {
  if (win === null) return { path, value: null, setBy: '', target: '', place: null };
  const { value, policy, target } = win;
  if (policy !== null) {
    return { path, value, setBy: `TrafficPolicy ${objectKey(policy.meta)}`, target, place: policy.placeOf(path) };
  }
  if (rule === null) return { path, value, setBy: 'route', target, place: null };
  const { route, index } = rule;
  const part = path.startsWith('spec.timeouts.') ? 'timeouts' : 'retry';
  const place = route.placeOf(`spec.rules[${index}].${part}`);
  return { path, value, setBy: `${route.kind} ${objectKey(route.meta)}`, target, place };
}
