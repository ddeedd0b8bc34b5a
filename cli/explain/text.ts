/** An explanation as text for people: what was chosen first, then the reasons. Decides nothing. */
import { formatDuration } from '#base/duration.ts';
import type { Setting } from '../../control-plane/compile/policies/provenance.ts';
import type { ClusterConfig, EndpointConfig, RouteActionConfig } from '../../proxy/config/snapshot.ts';
import { columns } from './columns.ts';
import type { ExplainedBackend, Explanation } from './explain.ts';
import type { EndpointState } from '../../proxy/worker/describe.ts';
import type { FailureLine } from './failures.ts';

/** Endpoints of a backend that are written out. */
const MAX_ENDPOINTS = 20;

export function explanationText(told: Explanation, shorten: (file: string) => string): string {
  const { method, authority, path } = told.request;
  const { namespace, workload } = told.from;
  const sections = [
    [
      `${method} http://${authority}${path}`,
      `  from ${workload ?? `a workload of namespace ${namespace}`} to ${told.destination}`,
      ...told.notes.map((note) => `  note: ${note}`),
    ],
    section('Route', routeLines(told)),
    section('Policy of the route', settingLines(told.policy, shorten)),
    ...told.backends.map((backend) => section(backendTitle(backend), backendLines(backend, shorten))),
    section('Retries', retryLines(told)),
    section('When something fails', failureLines(told.failures)),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}

function routeLines({ routes, action }: Explanation): readonly string[] {
  const chosen = routes.find((route) => route.chosen);
  const first = chosen === undefined ? 'no route matches: answered 404, no-route' : `-> ${chosen.name}`;
  const others = routes.filter((route) => !route.chosen);
  const does = action === null ? [] : [`   ${actionText(action)}`];
  return [first, ...does, ...columns(others.map(({ name, why }) => [`   ${name}`, why]))];
}

function actionText(action: RouteActionConfig): string {
  switch (action.kind) {
    case 'forward': {
      const to = action.clusters.length === 1 ? 'one backend' : `${action.clusters.length} backends`;
      const { session } = action;
      return `forwards to ${to}${session === undefined ? '' : `, a session to one endpoint by ${session.kind} ${session.name}`}`;
    }
    case 'redirect':
      return `redirects with ${action.redirect.status}`;
    case 'respond':
      return `is answered ${action.status} by the sidecar`;
  }
}

/** What is set, with who sets it; then the names of what is not. */
function settingLines(settings: readonly Setting[], shorten: (file: string) => string): readonly string[] {
  const set = settings.filter(({ setBy }) => setBy !== '');
  const rest = settings.filter(({ setBy }) => setBy === '').map(fieldName);
  const lines = columns(
    set.map((setting) => {
      const { value, setBy, target, place } = setting;
      const where = place === null ? '' : ` (${shorten(place.file)}:${place.line})`;
      return [
        fieldName(setting),
        valueText(setting.path, value),
        `${setBy}${where}${target === '' ? '' : `, attached to ${target}`}`,
      ];
    }),
  );
  return rest.length === 0 ? lines : [...lines, `default: ${rest.join(', ')}`];
}

function fieldName({ path }: Setting): string {
  return path.replace(/^spec\./, '');
}

/** Fields that are durations: settled in milliseconds, written as they are in a manifest. */
const DURATIONS = /^spec\.timeouts\.|\.(?:backoff|ejection)\.|\.interval$/;

function valueText(path: string, value: unknown): string {
  if (typeof value === 'number' && DURATIONS.test(path)) return formatDuration(value);
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  return JSON.stringify(value);
}

function backendTitle({ cluster, percent, weight }: ExplainedBackend): string {
  return `Backend ${cluster}: ${Math.round(percent * 100) / 100} % of requests (weight ${weight})`;
}

function backendLines(backend: ExplainedBackend, shorten: (file: string) => string): readonly string[] {
  const { config, endpoints, policy, states } = backend;
  if (config === null) return ['does not exist'];
  if (states.length > 0) return [connectionText(config), ...settingLines(policy, shorten), ...stateLines(states)];
  const shown = endpoints.slice(0, MAX_ENDPOINTS).map(endpointCells);
  const more = endpoints.length > MAX_ENDPOINTS ? [`and ${endpoints.length - MAX_ENDPOINTS} more`] : [];
  const none = endpoints.length === 0 ? [noEndpoints(config)] : [];
  return [connectionText(config), ...settingLines(policy, shorten), ...none, ...columns(shown), ...more];
}

function connectionText({ balancer, connectTimeoutMs, limits, retryBudget }: ClusterConfig): string {
  const breaker = `at most ${limits.requests} requests, ${limits.pendingRequests} waiting, ${limits.connections} connections`;
  const budget = `retries up to ${retryBudget.percent} % of requests, and ${retryBudget.minPerSecond} a second always`;
  return `${balancer.kind}; connect within ${formatDuration(connectTimeoutMs)}; ${breaker}; ${budget}`;
}

/** What a sidecar sees of its endpoints now; those that take no requests first. */
function stateLines(states: readonly EndpointState[]): readonly string[] {
  const shown = states.toSorted((a, b) => Number(a.available) - Number(b.available)).slice(0, MAX_ENDPOINTS);
  const more = states.length > MAX_ENDPOINTS ? [`and ${states.length - MAX_ENDPOINTS} more`] : [];
  return [...columns(shown.map(stateCells)), ...more];
}

function stateCells(state: EndpointState): readonly string[] {
  const { address, port, pod, weight, mtls, identity, latencyMs, inFlight, connections } = state;
  const how = mtls ? `mTLS as ${identity}` : 'plaintext';
  const load = `${inFlight} under way on ${connections} connections, ${latencyMs} ms`;
  return [`${address}:${port}`, pod, conditionOf(state), `weight ${weight}`, load, how];
}

function conditionOf({ healthy, available, ejected }: EndpointState): string {
  if (ejected !== '') return `out: ${ejected}`;
  if (!healthy) return 'not ready';
  return available ? 'ready' : 'out';
}

function noEndpoints({ discovery, dns }: ClusterConfig): string {
  if (discovery !== 'dns' || dns === undefined) return 'no endpoints in these manifests';
  return `resolved by DNS: ${dns.names.map(({ host, port }) => `${host}:${port}`).join(', ')}`;
}

function endpointCells(endpoint: EndpointConfig): readonly string[] {
  const { address, port, healthy, weight, zone, mtls, identity, workload } = endpoint;
  const who = workload === null ? '' : `${workload.namespace}/${workload.pod}`;
  const place = zone === '' ? '' : `zone ${zone}${(endpoint.priority ?? 0) > 0 ? ', not preferred' : ''}`;
  const how = mtls ? `mTLS as ${identity}` : 'plaintext';
  return [`${address}:${port}`, who, healthy ? 'ready' : 'not ready', `weight ${weight}`, place, how];
}

function retryLines({ action, waits }: Explanation): readonly string[] {
  if (action?.kind !== 'forward') return [];
  const { timeoutMs, idleTimeoutMs, retry } = action;
  const limits = [
    `whole request ${limitText(timeoutMs)}`,
    `each try ${limitText(retry?.perTryTimeoutMs ?? 0)}`,
    `silence ${limitText(idleTimeoutMs)}`,
  ].join(', ');
  if (retry === null || (waits.length === 0 && retry.hedge === undefined)) return [limits, 'nothing is tried again'];
  const on = [...retry.on, ...retry.statuses.map(String), ...(retry.grpc ?? []).map((name) => `gRPC ${name}`)];
  const times = waits.map(({ retry, fromMs, toMs }) => `retry ${retry} after ${fromMs} to ${toMs} ms`);
  const { hedge } = retry;
  if (hedge !== undefined)
    times.push(`beside a try without answer after ${formatDuration(hedge.afterMs)}, at most ${hedge.max}`);
  return [limits, `up to ${1 + retry.attempts} tries, again on ${on.join(', ')}`, ...times];
}

function limitText(ms: number): string {
  return ms === 0 ? 'unlimited' : formatDuration(ms);
}

function failureLines(failures: readonly FailureLine[]): readonly string[] {
  return columns(
    failures.map(({ when, retried, status, reason, grpcStatus, fallback }) => {
      const grpc = grpcStatus < 0 ? '' : `, grpc-status ${grpcStatus}`;
      const answer = reason === '' ? `${status} of the application` : `${status}, tulle-reason: ${reason}${grpc}`;
      const again = retried === 'yes' ? 'tried again, at last' : `not tried again (${retried.replace(/^no: /, '')}),`;
      return [when, `${again} ${answer}${fallback === '' ? '' : `; the fallback answers: ${fallback}`}`];
    }),
  );
}
