/**
 * Pods that Deployments would make: a folder of manifests has none, and without pods there is neither an endpoint nor a sidecar to reach.
 * Knows no mesh; the compiler takes them for pods like others.
 */
import { objectKey, type Kind } from '../../control-plane/kinds/meta.ts';
import type { Deployment } from '../../control-plane/kinds/deployment.ts';
import type { Pod } from '../../control-plane/kinds/pod.ts';
import type { ObjectEvent, World } from '../../control-plane/sources/world.ts';

/** Of one Deployment; more replicas are not counted. */
export const MAX_STAND_INS = 1000;

/** Gives stand-ins of one name the same address in every World that it is asked for. */
export class StandIns {
  readonly #addresses = new Map<string, string>();

  /** Pods for the Deployments of which there is none, as events that put them into `world`. */
  missingIn({ deployments, pods }: World): readonly (ObjectEvent & { readonly type: 'set' })[] {
    const owners = new Set([...pods.values()].map(({ meta, owner }) => `${meta.namespace}/${owner}`));
    return [...deployments.values()]
      .filter(({ meta }) => !owners.has(objectKey(meta)))
      .flatMap((deployment) =>
        Array.from({ length: Math.min(deployment.spec.replicas, MAX_STAND_INS) }, (_, i) => ({
          type: 'set' as const,
          object: this.#pod(deployment, i),
        })),
      );
  }

  #pod({ meta, spec: { template }, place, placeOf }: Deployment, index: number): Pod {
    const name = `${meta.name}-${index}`;
    return {
      kind: 'Pod' satisfies Kind,
      meta: { ...meta, name, labels: template.labels, annotations: template.annotations, uid: '', generation: 0 },
      place,
      placeOf,
      spec: { ...template.spec, nodeName: '' },
      status: { phase: 'Running', podIps: [this.#addressOf(`${meta.namespace}/${name}`)], ready: true },
      owner: meta.name,
      terminating: false,
    };
  }

  /** Of 240.0.0.0/4, which nobody uses (RFC 1112). */
  #addressOf(key: string): string {
    const known = this.#addresses.get(key);
    if (known !== undefined) return known;
    const n = this.#addresses.size + 1;
    const address = `${240 + ((n >> 24) & 15)}.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
    this.#addresses.set(key, address);
    return address;
  }
}
