/** The pod template that Deployment and Pod share, as far as running and meshing it need it. Other fields of a pod are not looked at. */
import { choice, type Field, integer, MAX_INT32, string, type ValueOf } from './field.ts';
import { list, optional, part, required, type Check } from './structure.ts';
import { dnsLabel, dnsSubdomain, labels, annotations, portName, portNumber, portNumberOrName } from './text-forms.ts';

export interface EnvVar {
  readonly name: string;
  readonly value: string;
  /** `valueFrom.fieldRef.fieldPath`, such as `status.podIP`; empty when `value` counts. */
  readonly fieldPath: string;
}

export interface ContainerPort {
  readonly name: string;
  readonly containerPort: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
}

export interface Probe {
  readonly handler:
    | {
        readonly kind: 'http';
        readonly path: string;
        readonly port: number | string;
        readonly scheme: 'HTTP' | 'HTTPS';
      }
    | { readonly kind: 'tcp'; readonly port: number | string }
    | { readonly kind: 'exec'; readonly command: readonly string[] };
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDir: string;
  readonly env: readonly EnvVar[];
  readonly ports: readonly ContainerPort[];
  readonly readinessProbe: Probe | null;
}

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly terminationGracePeriodSeconds: number;
  /** Labels of the node that it runs on. */
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly containers: readonly Container[];
}

/** Of a node; copied to its pods since Kubernetes 1.33 (KEP-4742). */
export const ZONE_LABEL = 'topology.kubernetes.io/zone';

/** Kubernetes bounds objects by size only; these bound what we loop over. */
const MAX_CONTAINERS = 100;
const MAX_ITEMS = 1000;
const strings = list(string(), { maxItems: MAX_ITEMS });

const ENV = part({
  name: required(string({ minLength: 1 })),
  value: optional(string(), ''),
  // Other sources (secrets, config maps, resources) are Kubernetes' to resolve: they give an empty value here.
  valueFrom: optional(
    part({ fieldRef: optional(part({ fieldPath: required(string({ minLength: 1 })) }), null) }),
    null,
  ),
});

const PORT = part({
  name: optional(portName, ''),
  containerPort: required(portNumber),
  protocol: optional(choice(['TCP', 'UDP', 'SCTP']), 'TCP'),
});

const PROBE_MEMBERS = {
  httpGet: optional(
    part({
      path: optional(string(), '/'),
      port: required(portNumberOrName),
      scheme: optional(choice(['HTTP', 'HTTPS']), 'HTTP'),
    }),
    null,
  ),
  tcpSocket: optional(part({ port: required(portNumberOrName) }), null),
  grpc: optional(part({ port: required(portNumber) }), null),
  exec: optional(part({ command: optional(strings, []) }), null),
  initialDelaySeconds: optional(integer(0, MAX_INT32), 0),
  periodSeconds: optional(integer(0, MAX_INT32), 0),
  timeoutSeconds: optional(integer(0, MAX_INT32), 0),
  successThreshold: optional(integer(0, MAX_INT32), 0),
  failureThreshold: optional(integer(0, MAX_INT32), 0),
};
type RawProbe = ValueOf<ReturnType<typeof part<typeof PROBE_MEMBERS>>>;

const ONE_HANDLER: Check<RawProbe> = {
  message: 'must have exactly one of httpGet, tcpSocket, grpc or exec',
  holds: ({ httpGet, tcpSocket, grpc, exec }) =>
    [httpGet, tcpSocket, grpc, exec].filter((h) => h !== null).length === 1,
};

const CONTAINER = part({
  name: required(dnsLabel),
  image: optional(string(), ''),
  command: optional(strings, []),
  args: optional(strings, []),
  workingDir: optional(string(), ''),
  env: optional(list(ENV, { maxItems: MAX_ITEMS }), []),
  ports: optional(list(PORT, { maxItems: MAX_ITEMS }), []),
  readinessProbe: optional(part(PROBE_MEMBERS, [ONE_HANDLER]), null),
});

/** The members of a pod's spec, for Pod and for pod templates. */
export const POD_SPEC_MEMBERS = {
  serviceAccountName: optional(emptyOr(dnsSubdomain), ''),
  terminationGracePeriodSeconds: optional(integer(0, MAX_INT32), 30),
  nodeSelector: optional(labels, {}),
  containers: required(
    list(CONTAINER, { minItems: 1, maxItems: MAX_CONTAINERS, unique: { keys: ['name'], of: (c) => c.name } }),
  ),
};
type RawPodSpec = ValueOf<ReturnType<typeof part<typeof POD_SPEC_MEMBERS>>>;

/** `spec.template` of a workload. */
export const POD_TEMPLATE = part({
  metadata: optional(part({ labels: optional(labels, {}), annotations: optional(annotations, {}) }), {
    labels: {},
    annotations: {},
  }),
  spec: required(part(POD_SPEC_MEMBERS)),
});

/** An empty string counts as not given, as in Kubernetes' own defaulting. */
function emptyOr(field: Field<string>): Field<string> {
  return {
    schema: field.schema,
    read: (value, path, problems) => (value === '' ? '' : field.read(value, path, problems)),
  };
}

export function podSpecOf(spec: RawPodSpec): PodSpec {
  return {
    serviceAccountName: spec.serviceAccountName || 'default',
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds,
    nodeSelector: spec.nodeSelector,
    containers: spec.containers.map((container) => ({
      ...container,
      env: container.env.map(({ name, value, valueFrom }) => ({
        name,
        value,
        fieldPath: valueFrom?.fieldRef?.fieldPath ?? '',
      })),
      readinessProbe: container.readinessProbe === null ? null : probeOf(container.readinessProbe),
    })),
  };
}

/** 0 counts as not given, and gives the default (API: Probe). */
function probeOf(probe: RawProbe): Probe {
  return {
    handler: handlerOf(probe),
    initialDelayMs: probe.initialDelaySeconds * 1000,
    periodMs: (probe.periodSeconds || 10) * 1000,
    timeoutMs: (probe.timeoutSeconds || 1) * 1000,
    successThreshold: probe.successThreshold || 1,
    failureThreshold: probe.failureThreshold || 3,
  };
}

/** A gRPC probe is taken as one that connects: whoever listens there is far enough to be tried. */
function handlerOf({ httpGet, tcpSocket, grpc, exec }: RawProbe): Probe['handler'] {
  if (httpGet !== null) return { kind: 'http', ...httpGet };
  if (exec !== null) return { kind: 'exec', command: exec.command };
  return { kind: 'tcp', port: (tcpSocket ?? grpc)?.port ?? 0 };
}
