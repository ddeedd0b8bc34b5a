/**
 * Which rate limit is kept at a port of a workload: that of the Service which sends requests there. Of several Services with one, the
 * alphabetically first counts: who arrives does not say by which name it came. Knows no message.
 */
import { portKey, type Mesh, type Workload } from '../model/mesh.ts';
import type { NamedLimit } from './routes.ts';

/** By port of the application. */
export function rateLimitsOf(mesh: Mesh, workload: Workload): ReadonlyMap<number, NamedLimit> {
  const limits = new Map<number, NamedLimit>();
  const own = `${workload.namespace}/${workload.name}`;
  for (const service of [...mesh.services.values()].sort((a, b) => (a.host < b.host ? -1 : 1))) {
    for (const { port, policy } of service.ports) {
      if (policy.rateLimit === null) continue;
      const key = portKey(service.namespace, service.name, port);
      const at = mesh.endpoints.get(key)?.find((endpoint) => endpoint.workload === own);
      if (at !== undefined && !limits.has(at.port)) limits.set(at.port, { name: key, limit: policy.rateLimit });
    }
  }
  return limits;
}
