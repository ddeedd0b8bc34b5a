/**
 * What holds for requests that arrive at a port of a workload: rate limit and sampling of the Service which sends them there. Of several
 * Services that say something, the alphabetically first counts: who arrives does not say by which name it came. Knows no message.
 */
import { portKey, type Mesh, type Workload } from '../model/mesh.ts';
import type { RateLimitPolicy } from '../model/policy.ts';

export interface Arrival {
  /** Whose it is: `shop/reviews:80`. */
  readonly name: string;
  readonly rateLimit: RateLimitPolicy | null;
  readonly sampling: number | null;
}

/** By port of the application. */
export function arrivalsOf(mesh: Mesh, workload: Workload): ReadonlyMap<number, Arrival> {
  const arrivals = new Map<number, Arrival>();
  const own = `${workload.namespace}/${workload.name}`;
  for (const service of [...mesh.services.values()].sort((a, b) => (a.host < b.host ? -1 : 1))) {
    for (const { port, policy } of service.ports) {
      const { rateLimit, sampling } = policy;
      if (rateLimit === null && sampling === null) continue;
      const name = portKey(service.namespace, service.name, port);
      const at = mesh.endpoints.get(name)?.find((endpoint) => endpoint.workload === own);
      if (at !== undefined && !arrivals.has(at.port)) arrivals.set(at.port, { name, rateLimit, sampling });
    }
  }
  return arrivals;
}
