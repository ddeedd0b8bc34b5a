/** Service (core/v1), as far as traffic is concerned. */
import { choice, string, type ValueOf } from './field.ts';
import { envelope, type ParseContext, readObject } from './object.ts';
import { list, optional, part, required, type Check } from './structure.ts';
import { appProtocol, dnsLabel, dnsLabel1035, ipAddress, labels, portNumber, portNumberOrName } from './text-forms.ts';
import type { KubeObject } from './meta.ts';

export interface ServicePortSpec {
  /** Empty when the Service has one unnamed port. */
  readonly name: string;
  readonly port: number;
  /** A port number, or the name of a container port. */
  readonly targetPort: number | string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  /** `kubernetes.io/h2c`, `http`, …; empty when not given. */
  readonly appProtocol: string;
}

export interface Service extends KubeObject {
  readonly kind: 'Service';
  readonly spec: {
    readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
    /** Empty: no selector, endpoints come from EndpointSlices only. */
    readonly selector: Readonly<Record<string, string>>;
    /** `clusterIPs`; empty for a headless Service, and in a folder that gives none. */
    readonly clusterIps: readonly string[];
    readonly headless: boolean;
    readonly ports: readonly ServicePortSpec[];
  };
}

const PORT = part({
  name: optional(dnsLabel, ''),
  port: required(portNumber),
  targetPort: optional(portNumberOrName, null),
  protocol: optional(choice(['TCP', 'UDP', 'SCTP']), 'TCP'),
  appProtocol: optional(appProtocol, ''),
});

/** No bound of Kubernetes: an object of people stays far below. */
const MAX_PORTS = 1000;
/** One of each family (API: Service.spec.clusterIPs). */
const MAX_CLUSTER_IPS = 2;

const clusterIp = choiceOrAddress();

const SPEC_MEMBERS = {
  type: optional(choice(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']), 'ClusterIP'),
  selector: optional(labels, {}),
  clusterIP: optional(clusterIp, ''),
  clusterIPs: optional(list(clusterIp, { maxItems: MAX_CLUSTER_IPS }), []),
  ports: optional(list(PORT, { maxItems: MAX_PORTS }), []),
};
type RawSpec = ValueOf<ReturnType<typeof part<typeof SPEC_MEMBERS>>>;

/** What the API server's own validation of Services refuses. */
const SPEC_CHECKS: readonly Check<RawSpec>[] = [
  {
    message: 'needs at least one port',
    at: 'ports',
    holds: (spec) => spec.type === 'ExternalName' || isHeadless(spec) || spec.ports.length > 0,
  },
  {
    message: 'each port needs a name when there are several',
    at: 'ports',
    holds: ({ ports }) => ports.length < 2 || ports.every((p) => p.name !== ''),
  },
  {
    message: 'two ports have the same name',
    at: 'ports',
    holds: ({ ports }) => {
      const names = ports.map((p) => p.name).filter((name) => name !== '');
      return new Set(names).size === names.length;
    },
  },
  {
    message: 'two ports have the same number and protocol',
    at: 'ports',
    holds: ({ ports }) => new Set(ports.map((p) => `${p.port}/${p.protocol}`)).size === ports.length,
  },
];

const SERVICE = part({ ...envelope(dnsLabel1035), spec: required(part(SPEC_MEMBERS, SPEC_CHECKS)) });

/** An address, `None` for a headless Service, or empty. */
function choiceOrAddress() {
  const word = string();
  return {
    schema: word.schema,
    read: (...args: Parameters<typeof word.read>) =>
      (args[0] === 'None' || args[0] === '' ? word : ipAddress).read(...args),
  };
}

function isHeadless(spec: RawSpec): boolean {
  return spec.clusterIP === 'None' || spec.clusterIPs[0] === 'None';
}

function clusterIpsOf(spec: RawSpec): readonly string[] {
  const all = spec.clusterIPs.length > 0 ? spec.clusterIPs : [spec.clusterIP];
  return all.filter((ip) => ip !== '' && ip !== 'None');
}

export function parseService(value: unknown, context: ParseContext): Service | null {
  return readObject('Service', SERVICE, value, context, ({ spec }, common) => ({
    kind: 'Service',
    ...common,
    spec: {
      type: spec.type,
      selector: spec.selector,
      clusterIps: clusterIpsOf(spec),
      headless: isHeadless(spec),
      ports: spec.ports.map((p) => ({ ...p, targetPort: p.targetPort ?? p.port })),
    },
  }));
}
