/**
 * What one replica of a Deployment is to be: names, labels, container, identity; and what stands in the way of running it. Pure.
 */
import { createHash } from 'node:crypto';
import type { Problems } from '#base/problems.ts';
import type { Deployment } from '../../control-plane/kinds/deployment.ts';
import type { Namespace } from '../../control-plane/kinds/namespace.ts';
import { ZONE_LABEL, type Container } from '../../control-plane/kinds/pod-spec.ts';

export interface ReplicaPlan {
  readonly name: string;
  readonly namespace: string;
  readonly deployment: string;
  /** Hash of the pod template: replicas of one revision are alike. */
  readonly revision: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly container: Container;
  readonly gracePeriodSeconds: number;
  readonly meshed: boolean;
}

export const INJECT = 'tulle.dev/inject';
const HASH_LABEL = 'pod-template-hash';

/** The revision of a Deployment's template. */
export function revisionOf(deployment: Deployment): string {
  return shortHash(JSON.stringify(deployment.spec.template), 8);
}

/** The plan of the replica with this number; null, with problems, when it cannot run as a local process. */
export function planReplica(
  deployment: Deployment,
  namespace: Namespace | undefined,
  number: number,
  problems: Problems,
): ReplicaPlan | null {
  const { meta, spec } = deployment;
  const [container] = spec.template.spec.containers;
  const at = 'spec.template.spec.containers[0].command';
  if (container === undefined || container.command.length === 0) {
    const place = deployment.placeOf(at) ?? undefined;
    const reason = `Deployment ${meta.namespace}/${meta.name} gives no command, so it cannot run here`;
    problems.add(
      at,
      reason,
      'images are not run locally; write what the image would start, as in command: [node, app.mjs]',
      place,
    );
    return null;
  }
  const revision = revisionOf(deployment);
  const replicaSet = `${meta.name}-${revision}`;
  return {
    name: `${replicaSet}-${shortHash(`${meta.namespace}/${replicaSet}/${number}`, 5)}`,
    namespace: meta.namespace,
    deployment: meta.name,
    revision,
    serviceAccount: spec.template.spec.serviceAccountName,
    labels: { ...zoneLabel(deployment), ...spec.template.labels, [HASH_LABEL]: revision },
    annotations: spec.template.annotations,
    container,
    gracePeriodSeconds: spec.template.spec.terminationGracePeriodSeconds,
    meshed: isMeshed(deployment, namespace),
  };
}

/** Kubernetes would copy it from the node that the selector finds. */
function zoneLabel({ spec }: Deployment): Readonly<Record<string, string>> {
  const zone = spec.template.spec.nodeSelector[ZONE_LABEL];
  return zone === undefined ? {} : { [ZONE_LABEL]: zone };
}

/** Under `tulle run` everything is in the mesh unless its template, or else its namespace, opts out. */
function isMeshed(deployment: Deployment, namespace: Namespace | undefined): boolean {
  const word = deployment.spec.template.annotations[INJECT] ?? namespace?.meta.labels[INJECT];
  return word !== 'disabled';
}

/** Letters that Kubernetes uses for generated names: no vowels, so no words. */
const LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

function shortHash(text: string, length: number): string {
  const digest = createHash('sha256').update(text).digest();
  let hash = '';
  for (let i = 0; i < length; i++) hash += LETTERS[(digest[i] ?? 0) % LETTERS.length];
  return hash;
}
