/**
 * The fields of a TrafficPolicy that are in force in this version, feature by feature: targets, timeouts, retries.
 * `crds/trafficpolicies.yaml` is made from these. Knows nothing of precedence between policies.
 */
import { choice, duration, integer, string, type ValueOf } from './field.ts';
import { defaulted, list, object, optional, required, type Rule } from './structure.ts';
import { apiGroup, dnsSubdomain, headerName } from './text-forms.ts';

const GATEWAY_GROUP = 'gateway.networking.k8s.io';
/** Gateway API's bound of targetRefs. */
const MAX_TARGETS = 16;

const TARGET_MEMBERS = {
  group: defaulted(
    apiGroup,
    '',
    'API group of the target: empty for a Service, tulle.dev for an ExternalService, gateway.networking.k8s.io for a route.',
  ),
  kind: required(choice(['Service', 'ExternalService', 'HTTPRoute', 'GRPCRoute']), 'Kind of the target.'),
  name: required(dnsSubdomain, 'Name of the target, in the namespace of the policy.'),
  sectionName: defaulted(
    string({
      maxLength: 253,
      pattern: /^$|^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/,
      advice: 'write a port or rule name such as http',
    }),
    '',
    'Name of a port of the Service or ExternalService, or of a rule of the route. Empty: all of it.',
  ),
};
type Target = ValueOf<ReturnType<typeof object<typeof TARGET_MEMBERS>>>;

function groupOf(kind: Target['kind']): string {
  if (kind === 'Service') return '';
  return kind === 'ExternalService' ? 'tulle.dev' : GATEWAY_GROUP;
}

const TARGET_RULES: readonly Rule<Target>[] = [
  {
    rule: `self.group == (self.kind == 'Service' ? '' : self.kind == 'ExternalService' ? 'tulle.dev' : '${GATEWAY_GROUP}')`,
    message: `must be "" for a Service, tulle.dev for an ExternalService and ${GATEWAY_GROUP} for a route`,
    at: 'group',
    holds: ({ group, kind }) => group === groupOf(kind),
  },
];

export const TARGET_REFS = list(object(TARGET_MEMBERS, TARGET_RULES), {
  minItems: 1,
  maxItems: MAX_TARGETS,
  unique: {
    keys: ['group', 'kind', 'name', 'sectionName'],
    of: ({ group, kind, name, sectionName }) => JSON.stringify([group, kind, name, sectionName]),
  },
});

const TIMEOUT_MEMBERS = {
  request: optional(
    duration(),
    null,
    'From the head of a request to the end of its answer, retries included. 0s: none.',
  ),
  perTry: optional(duration(), null, 'The same for each single try. 0s: none.'),
  idle: optional(
    duration(),
    null,
    'How long nothing may move on a request before it is cut (0s: none), or on an opaque connection (1h when not given).',
  ),
  connect: optional(duration('1ms', '1h'), null, 'For a connection to an endpoint, with its TLS handshake.'),
};
type Timeouts = ValueOf<ReturnType<typeof object<typeof TIMEOUT_MEMBERS>>>;

const TIMEOUT_RULES: readonly Rule<Timeouts>[] = [
  {
    rule: "!has(self.request) || !has(self.perTry) || duration(self.request) == duration('0s') || duration(self.perTry) <= duration(self.request)",
    message: 'perTry must not be longer than request',
    at: 'perTry',
    holds: ({ request, perTry }) => request === null || perTry === null || request === 0 || perTry <= request,
  },
];

export const NO_TIMEOUTS: Timeouts = { request: null, perTry: null, idle: null, connect: null };
export const TIMEOUTS = object(TIMEOUT_MEMBERS, TIMEOUT_RULES);

const CONDITIONS = ['connect-failure', 'refused-stream', 'reset', 'gateway-error', '5xx', 'retriable-status'] as const;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'] as const;
/** Those that Envoy can retry on. */
const GRPC_STATUSES = ['cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable'] as const;

/** A list of words, each at most once. */
function words<const T extends string>(values: readonly T[], minItems: number) {
  return list(choice(values), { minItems, maxItems: values.length, unique: { keys: [], of: (word) => word } });
}

const BACKOFF_MEMBERS = {
  base: optional(
    duration('1ms', '1h'),
    null,
    'Before the first retry, at most; each further one may wait twice as long.',
  ),
  max: optional(duration('1ms', '1h'), null, 'Longest wait before a retry.'),
};

const BACKOFF_RULES: readonly Rule<ValueOf<ReturnType<typeof object<typeof BACKOFF_MEMBERS>>>>[] = [
  {
    rule: '!has(self.base) || !has(self.max) || duration(self.base) <= duration(self.max)',
    message: 'base must not be longer than max',
    at: 'base',
    holds: ({ base, max }) => base === null || max === null || base <= max,
  },
];

const BUDGET = object({
  percent: optional(integer(0, 100), null, 'Retries in percent of the requests of the interval.'),
  minPerSecond: optional(
    integer(0, 1_000_000),
    null,
    'Retries in a second that are allowed however few requests there are.',
  ),
  interval: optional(duration('1s', '1h'), null, 'Length of time over which requests and retries are counted.'),
});

const HEDGE = object({
  after: required(
    duration('1ms', '1h'),
    'How long to wait for an answer before another try is started beside the first.',
  ),
  max: defaulted(integer(1, 5), 1, 'Most tries beside the first.'),
});

const RETRY_MEMBERS = {
  attempts: optional(integer(0, 10), null, 'Retries after the first try. 0: none.'),
  retryOn: optional(words(CONDITIONS, 0), null, 'What is tried again.'),
  on: optional(
    words(CONDITIONS, 0),
    null,
    'Second spelling of retryOn; YAML 1.1 tools such as kubectl need it in quotes.',
  ),
  statuses: optional(
    list(integer(400, 599), { maxItems: 64, unique: { keys: [], of: String } }),
    null,
    'Response statuses that count as retriable-status.',
  ),
  methods: optional(words(METHODS, 1), null, 'Methods that are tried again; else the idempotent ones.'),
  grpc: optional(
    words(GRPC_STATUSES, 0),
    null,
    'gRPC statuses that are tried again when they come as the whole answer. `methods` does not concern them.',
  ),
  idempotencyKeyHeader: optional(headerName, null, 'A request with this header is tried again whatever its method.'),
  backoff: optional(object(BACKOFF_MEMBERS, BACKOFF_RULES), null, 'Waits between tries, with jitter.'),
  budget: optional(BUDGET, null, 'Bound of retries to a backend in all, so that retries do not add to an overload.'),
  hedge: optional(HEDGE, null, 'A second try beside a slow first one.'),
};

const RETRY_RULES: readonly Rule<ValueOf<ReturnType<typeof object<typeof RETRY_MEMBERS>>>>[] = [
  {
    rule: '!has(self.retryOn) || !has(self.on)',
    message: 'retryOn and on are two spellings of one field: leave on out',
    at: 'on',
    holds: ({ retryOn, on }) => retryOn === null || on === null,
  },
  {
    rule:
      "!has(self.statuses) || (!has(self.retryOn) && !has(self.on)) || (has(self.retryOn) && self.retryOn.exists(c, c == 'retriable-status')) || " +
      "(has(self.on) && self.on.exists(c, c == 'retriable-status'))",
    message: "statuses count only when 'retriable-status' is in retryOn",
    at: 'statuses',
    holds: ({ statuses, retryOn, on }) =>
      statuses === null ||
      (retryOn === null && on === null) ||
      [...(retryOn ?? []), ...(on ?? [])].includes('retriable-status'),
  },
];

/** What becomes of an unquoted `on:` where YAML 1.1 is read (sigs.k8s.io/yaml: kubectl, helm). */
const RETRY_MISREADINGS = { true: 'YAML 1.1 reads an unquoted on as true: write retryOn' };

export const RETRIES = object(RETRY_MEMBERS, RETRY_RULES, RETRY_MISREADINGS);
