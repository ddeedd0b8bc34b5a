/** Pod (core/v1): one workload instance with its address and readiness. */
import { ANYTHING, boolean, choice, string, type ValueOf } from './field.ts';
import { envelope, type ParseContext, readObject } from './object.ts';
import { POD_SPEC_MEMBERS, podSpecOf } from './pod-spec.ts';
import { list, optional, part, required } from './structure.ts';
import { dnsSubdomain, ipAddress, labels } from './text-forms.ts';
import type { KubeObject } from './meta.ts';
import type { PodSpec } from './pod-spec.ts';

export interface Pod extends KubeObject {
  readonly kind: 'Pod';
  readonly spec: PodSpec & { readonly nodeName: string };
  readonly status: {
    readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
    /** All addresses, the primary one first; empty before scheduling. */
    readonly podIps: readonly string[];
    readonly ready: boolean;
  };
  /** Name of the owning workload (Deployment, StatefulSet, …), or the pod's own name. */
  readonly owner: string;
  /** `metadata.deletionTimestamp` is set. */
  readonly terminating: boolean;
}

const OWNER = part({
  kind: optional(string(), ''),
  name: optional(string(), ''),
  controller: optional(boolean(), false),
});

const STATUS = part({
  phase: optional(choice(['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown']), 'Pending'),
  podIP: optional(ipAddress, ''),
  podIPs: optional(list(part({ ip: required(ipAddress) }), { maxItems: 16 }), []),
  conditions: optional(list(part({ type: required(string()), status: required(string()) }), { maxItems: 100 }), []),
});

const POD = part({
  ...envelope(dnsSubdomain),
  spec: required(part({ ...POD_SPEC_MEMBERS, nodeName: optional(string(), '') })),
  status: optional(STATUS, { phase: 'Pending', podIP: '', podIPs: [], conditions: [] }),
});

/** The parts of metadata that only pods are asked for. */
const LIFE = part({
  metadata: required(
    part({
      labels: optional(labels, {}),
      deletionTimestamp: optional(ANYTHING, null),
      ownerReferences: optional(list(OWNER, { maxItems: 100 }), []),
    }),
  ),
});

/** A Deployment's pods are owned by a ReplicaSet that is called after it and the hash of its template. */
function ownerOf(name: string, { labels, ownerReferences }: ValueOf<typeof LIFE>['metadata']): string {
  const owner = ownerReferences.find((o) => o.controller) ?? ownerReferences[0];
  if (owner === undefined || owner.name === '') return name;
  const suffix = `-${labels['pod-template-hash'] ?? ''}`;
  const made = owner.kind === 'ReplicaSet' && suffix !== '-' && owner.name.endsWith(suffix);
  return made ? owner.name.slice(0, -suffix.length) : owner.name;
}

export function parsePod(value: unknown, context: ParseContext): Pod | null {
  return readObject('Pod', POD, value, context, ({ spec, status }, common, problems) => {
    const life = LIFE.read(value, '', problems)?.metadata;
    const podIps = status.podIPs.map(({ ip }) => ip);
    return {
      kind: 'Pod',
      ...common,
      spec: { ...podSpecOf(spec), nodeName: spec.nodeName },
      status: {
        phase: status.phase,
        podIps: podIps.length === 0 && status.podIP !== '' ? [status.podIP] : podIps,
        ready: status.conditions.some((c) => c.type === 'Ready' && c.status === 'True'),
      },
      owner: life === undefined ? common.meta.name : ownerOf(common.meta.name, life),
      terminating: life !== undefined && life.deletionTimestamp !== null,
    };
  });
}
