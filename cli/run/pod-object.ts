/**
 * A replica as the Pod object that Kubernetes would show for it, so that the control plane sees no difference. Pure.
 */
import type { Container } from '../../control-plane/kinds/pod-spec.ts';
import type { PodFacts } from './environment.ts';

export interface PodState {
  readonly facts: PodFacts;
  /** The Deployment, and the name that its ReplicaSet would have. */
  readonly owner: { readonly deployment: string; readonly replicaSet: string };
  readonly container: Container;
  readonly gracePeriodSeconds: number;
  /** What the mesh sees. */
  readonly podAddress: string;
  readonly meshed: boolean;
  readonly phase: 'Pending' | 'Running';
  readonly ready: boolean;
  /** Wall times in milliseconds; `endingMs` is null while nobody wants it to end. */
  readonly createdMs: number;
  readonly endingMs: number | null;
}

/** core/v1 Pod, with the fields that traffic depends on. */
export function podObject(state: PodState): object {
  const { facts, owner, container } = state;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: facts.name,
      namespace: facts.namespace,
      uid: facts.uid,
      labels: facts.labels,
      annotations: { ...facts.annotations, 'tulle.dev/inject': state.meshed ? 'enabled' : 'disabled' },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner.replicaSet, uid: owner.replicaSet, controller: true },
      ],
      creationTimestamp: timestamp(state.createdMs),
      ...(state.endingMs === null ? {} : { deletionTimestamp: timestamp(state.endingMs) }),
    },
    spec: {
      serviceAccountName: facts.serviceAccount,
      nodeName: facts.nodeName,
      terminationGracePeriodSeconds: state.gracePeriodSeconds,
      containers: [
        {
          name: container.name,
          image: container.image === '' ? 'local' : container.image,
          ports: container.ports.map(({ name, containerPort, protocol }) =>
            name === '' ? { containerPort, protocol } : { name, containerPort, protocol },
          ),
        },
      ],
    },
    status: {
      phase: state.phase,
      hostIP: facts.hostAddress,
      podIP: state.podAddress,
      podIPs: [{ ip: state.podAddress }],
      conditions: [{ type: 'Ready', status: state.ready ? 'True' : 'False' }],
    },
  };
}

function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
