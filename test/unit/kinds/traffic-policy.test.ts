/** TrafficPolicy: the parser against the CRD at every boundary, then what it reads and what it says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { TRAFFIC_POLICY_CRD } from '../../../control-plane/kinds/custom-resource.ts';
import { parseTrafficPolicy } from '../../../control-plane/kinds/traffic-policy.ts';
import { reading } from './reading.ts';
import { accepts, filled, samples, type Schema } from './structural-schema.ts';

const CRD_FILE = join(import.meta.dirname, '../../../crds/trafficpolicies.yaml');

interface Definition {
  readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Schema } }] };
}

function policy(spec: unknown): unknown {
  return {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'reviews', namespace: 'shop' },
    spec,
  };
}

const target = { kind: 'Service', name: 'reviews' };
const definition = parse(readFileSync(CRD_FILE, 'utf8')) as Definition;
const specSchema = definition.spec.versions[0].schema.openAPIV3Schema.properties?.['spec'] ?? {};

/** Every schema below this one, with its path. */
function* schemas(
  schema: Schema,
  path: string,
): Generator<readonly [string, Schema & { readonly description?: string }]> {
  yield [path, schema];
  if (schema.items !== undefined) yield* schemas(schema.items, `${path}[]`);
  for (const [key, property] of Object.entries(schema.properties ?? {})) yield* schemas(property, `${path}.${key}`);
}

t.test('the definition on disk is the one that the fields make', async (t) => {
  t.same(definition, TRAFFIC_POLICY_CRD, 'else run scripts/crds.ts');
  const asKubectlReads = parse(readFileSync(CRD_FILE, 'utf8'), { version: '1.1' }) as Definition;
  t.same(asKubectlReads, TRAFFIC_POLICY_CRD, 'and in YAML 1.1 too, where an unquoted on is true');
});

t.test('every field of the schema has a type, a description and a bound', async (t) => {
  const bare = [...schemas(specSchema, 'spec')].filter(([path, s]) => {
    const bounded = s.type !== 'array' || s.maxItems !== undefined;
    const sized = s.type !== 'string' || s.enum !== undefined || s.maxLength !== undefined;
    return s.type === undefined || !bounded || !sized || (!path.endsWith('[]') && s.description === undefined);
  });
  t.same(bare, []);
});

t.test('the parser refuses what an API server would refuse, and nothing else', async (t) => {
  const disagreements: unknown[] = [];
  const verdicts = { accepted: 0, refused: 0 };
  const said = new Set<string>();
  for (const spec of samples(specSchema)) {
    const expected = accepts(specSchema, filled(specSchema, spec));
    verdicts[expected ? 'accepted' : 'refused']++;
    const { object, lines } = reading(parseTrafficPolicy, policy(spec));
    const got = object !== null;
    for (const line of lines) said.add(line.slice(line.indexOf(': ') + 2));
    if (got !== expected && disagreements.length < 5)
      disagreements.push({ spec: JSON.stringify(spec), expected, lines });
    if (got !== (lines.length === 0)) disagreements.push({ spec, lines });
  }
  t.same(disagreements, []);
  const rules = [...schemas(specSchema, '')].flatMap(([, s]) => s['x-kubernetes-validations'] ?? []);
  t.same(
    rules.filter(({ message }) => !said.has(message)),
    [],
    'each rule was broken by some sample, and said so in the words of the schema',
  );
  t.ok(verdicts.accepted > 500 && verdicts.refused > 1000, JSON.stringify(verdicts));
});

t.test('the policy of the design is read', async (t) => {
  const spec = parse(`
targetRefs: [{ group: "", kind: Service, name: reviews, sectionName: http }]
timeouts: { request: 10s, perTry: 2s, idle: 5m, connect: 1s }
retries: { attempts: 2, retryOn: [connect-failure, refused-stream, gateway-error, retriable-status], statuses: [503], methods: [GET, HEAD],
  grpc: [unavailable], idempotencyKeyHeader: idempotency-key, backoff: { base: 25ms, max: 250ms },
  budget: { percent: 20, minPerSecond: 10, interval: 10s }, hedge: { after: 200ms, max: 1 } }
circuitBreaker:
  limits: { connections: 1024, pendingRequests: 1024, requests: 1024, requestsPerConnection: 0 }
  outlier: { consecutiveErrors: 5, consecutiveGatewayErrors: 5, successRate: { below: 80, minRequests: 20 }, interval: 10s,
    ejection: { base: 30s, max: 5m }, keepEndpoints: 1 }
  fallback: { backendRef: { name: reviews-static, port: 80 } }
loadBalancer: { policy: PeakEwma, hashOn: [{ header: x-user }], slowStart: 30s, locality: { prefer: Zone } }
rateLimit: { requests: 100, per: 1s, burst: 200, key: [{ clientIdentity: true }] }
fault: { delay: { percent: 10, duration: 500ms }, abort: { percent: 1, status: 503 } }
healthCheck: { http: { path: /healthz }, interval: 10s, timeout: 1s }
tracing: { sampling: 10 }`) as unknown;
  const { object, lines } = reading(parseTrafficPolicy, policy(spec));
  t.same(lines, []);
  t.same(object?.spec, {
    targetRefs: [{ group: '', kind: 'Service', name: 'reviews', sectionName: 'http' }],
    timeouts: { requestMs: 10_000, perTryMs: 2000, idleMs: 300_000, connectMs: 1000 },
    retries: {
      attempts: 2,
      retryOn: ['connect-failure', 'refused-stream', 'gateway-error', 'retriable-status'],
      statuses: [503],
      methods: ['GET', 'HEAD'],
      grpc: ['unavailable'],
      idempotencyKeyHeader: 'idempotency-key',
      backoff: { baseMs: 25, maxMs: 250 },
      budget: { percent: 20, minPerSecond: 10, intervalMs: 10_000 },
      hedge: { afterMs: 200, max: 1 },
    },
    loadBalancer: {
      policy: 'PeakEwma',
      hashOn: [{ kind: 'header', name: 'x-user' }],
      slowStartMs: 30_000,
      prefer: 'Zone',
    },
    rateLimit: { requests: 100, perMs: 1000, burst: 200, key: [{ kind: 'clientIdentity' }] },
    fault: { delay: { percent: 10, durationMs: 500 }, abort: { percent: 1, status: 503 }, headers: [] },
    tracing: { sampling: 10 },
    circuitBreaker: {
      fallback: { kind: 'backend', namespace: 'shop', service: 'reviews-static', port: 80 },
      limits: { connections: 1024, pendingRequests: 1024, requests: 1024, requestsPerConnection: 0 },
      outlier: {
        consecutiveErrors: 5,
        consecutiveGatewayErrors: 5,
        successRate: { below: 80, minRequests: 20 },
        intervalMs: 10_000,
        ejectionBaseMs: 30_000,
        ejectionMaxMs: 300_000,
        keepEndpoints: 1,
      },
    },
    healthCheck: {
      check: { kind: 'http', path: '/healthz', host: '', statuses: null },
      intervalMs: 10_000,
      timeoutMs: 1000,
      healthyThreshold: null,
      unhealthyThreshold: null,
    },
  });
});

t.test('what is not given is null', async (t) => {
  const given = { targetRefs: [target], retries: { attempts: 0 }, loadBalancer: { policy: 'Random' } };
  const { object } = reading(parseTrafficPolicy, policy(given));
  t.same(object?.spec, {
    targetRefs: [{ group: '', kind: 'Service', name: 'reviews', sectionName: '' }],
    timeouts: { requestMs: null, perTryMs: null, idleMs: null, connectMs: null },
    retries: {
      attempts: 0,
      retryOn: null,
      statuses: null,
      methods: null,
      grpc: null,
      idempotencyKeyHeader: null,
      backoff: null,
      budget: null,
      hedge: null,
    },
    loadBalancer: { policy: 'Random', hashOn: null, slowStartMs: null, prefer: null },
    rateLimit: null,
    fault: null,
    tracing: null,
    circuitBreaker: null,
    healthCheck: null,
  });
});

const retries = (given: unknown) => reading(parseTrafficPolicy, policy({ targetRefs: [target], retries: given }));

t.test('on is a second spelling of retryOn, and who wrote it unquoted for YAML 1.1 is told', async (t) => {
  const second = retries({ on: ['reset'] });
  t.same([second.lines, second.object?.spec.retries?.retryOn], [[], ['reset']]);
  t.same(retries({ on: ['reset'], retryOn: ['reset'] }).lines, [
    'spec.retries.on: retryOn and on are two spellings of one field: leave on out',
  ]);
  t.same(retries({ true: ['reset'] }).lines, [
    'spec.retries.true: is an unknown field (YAML 1.1 reads an unquoted on as true: write retryOn)',
  ]);
});

t.test('all mistakes are told together, each with its path and advice', async (t) => {
  const { lines } = reading(parseTrafficPolicy, {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'reviews', anotations: {} },
    spec: {
      targetRefs: [
        { kind: 'Service', name: 'reviews' },
        { kind: 'Service', name: 'reviews', group: '' },
      ],
      timeouts: { request: '10 s', perTry: 5 },
      retries: { atempts: 2, retryOn: ['connect-failure', 'gatewayerror'], statuses: ['503'] },
      whatever: 1,
    },
  });
  t.same(lines, [
    "metadata.anotations: is an unknown field (did you mean 'annotations'?)",
    'spec.whatever: is an unknown field (known here: targetRefs, timeouts, retries, loadBalancer, rateLimit, fault, circuitBreaker, healthCheck, tracing)',
    'spec.targetRefs[1]: is the same as spec.targetRefs[0] (remove one of them)',
    'spec.timeouts.request: is no duration: the string "10 s" (write a duration such as 500ms, 10s or 1h30m)',
    'spec.timeouts.perTry: is no duration: the number 5 (write a duration such as 500ms, 10s or 1h30m)',
    "spec.retries.atempts: is an unknown field (did you mean 'attempts'?)",
    'spec.retries.retryOn[1]: must be connect-failure, refused-stream, reset, gateway-error, 5xx or retriable-status, is the string "gatewayerror"',
    'spec.retries.statuses[0]: must be an integer, is the string "503" (write it without quotes)',
  ]);
});

const toldOfFallback = (response: unknown): readonly string[] =>
  reading(parseTrafficPolicy, policy({ targetRefs: [target], circuitBreaker: { fallback: { response } } })).lines;

t.test('a fallback answers nothing that would break the connection', async (t) => {
  t.match(toldOfFallback({ status: 200, headers: [{ name: 'Content-Length', value: '9' }] }), [
    /fallback\.response\.headers\[0\]\.name: is written by the proxy itself/,
  ]);
  t.match(toldOfFallback({ status: 204, body: 'x' }), [/fallback\.response\.body: an answer 204 or 304 has no body/]);
  t.same(toldOfFallback({ status: 204 }), []);
});
