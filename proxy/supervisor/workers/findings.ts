/**
 * Which endpoints fail their health checks, as the worker that asks has said last: for workers that start late. Knows no thread.
 */
import type { FromWorker, SnapshotChange } from '../../worker/messages.ts';

type Finding = FromWorker & { readonly kind: 'health' };

export class Findings {
  /** By cluster, then by endpoint. Only those that fail. */
  readonly #failing = new Map<string, Map<string, Finding>>();

  note(finding: Finding): void {
    const { cluster, endpoint, why } = finding;
    const known = this.#failing.get(cluster);
    if (why === '') known?.delete(endpoint);
    else if (known === undefined) this.#failing.set(cluster, new Map([[endpoint, finding]]));
    else known.set(endpoint, finding);
  }

  /** Clusters that are gone. */
  forget({ clusters }: Pick<SnapshotChange, 'clusters'>): void {
    for (const [name, config] of clusters) if (config === null) this.#failing.delete(name);
  }

  all(): readonly Finding[] {
    return [...this.#failing.values()].flatMap((findings) => Array.from(findings.values()));
  }
}
