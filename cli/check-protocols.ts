/**
 * Which Service ports leave it to the sidecars to find out what they carry, and the line that would say it.
 * Knows manifests and, if a mesh runs, what its sidecars have found out; changes nothing.
 */
import { formatProblem } from '#base/problems.ts';
import { protocolOf } from '../control-plane/compile/protocols.ts';
import type { Service, ServicePortSpec } from '../control-plane/kinds/service.ts';
import type { World } from '../control-plane/sources/world.ts';
import { ask } from './admin/ask.ts';
import { parseSamples } from './demo/prometheus.ts';
import type { RunningMesh } from './run/mesh-file.ts';

/** What connections to undeclared ports turned out to be (`tulle_protocol_detections_total`), by Service port. */
export type Detections = ReadonlyMap<number, ReadonlySet<string>>;

const METRIC = 'tulle_protocol_detections_total';

/** `appProtocol` by what was detected; everything else is opaque. */
const DECLARATIONS: Readonly<Record<string, string>> = { http1: 'http', http2: 'kubernetes.io/h2c', tls: 'https' };

/** One line for a person for each undeclared port. */
export function undeclaredPorts(services: World['services'], detections: Detections = new Map()): readonly string[] {
  return [...services.values()].flatMap((service) =>
    service.spec.type === 'ExternalName'
      ? []
      : service.spec.ports.flatMap((port, i) => describe(service, port, i, detections) ?? []),
  );
}

function describe(service: Service, port: ServicePortSpec, index: number, detections: Detections): string | null {
  if (port.protocol !== 'TCP' || protocolOf(port) !== 'unknown') return null;
  const { namespace, name } = service.meta;
  const path = `spec.ports[${index}]`;
  const seen = detections.get(port.port) ?? new Set();
  const words = new Set([...seen].map((outcome) => DECLARATIONS[outcome] ?? 'tcp'));
  const declared = port.appProtocol === '' ? 'no protocol' : `${port.appProtocol}, which is not known`;
  const found =
    seen.size === 0 ? '' : `, connections to port ${port.port} turned out to be ${[...seen].toSorted().join(', ')}`;
  const [only] = words;
  return formatProblem({
    path,
    reason: `Service ${namespace}/${name} port ${port.port} declares ${declared}: each connection is told by its first bytes${found}`,
    advice:
      words.size === 1
        ? `write appProtocol: ${only}`
        : 'write appProtocol: http, kubernetes.io/h2c, grpc, https or tcp',
    place: service.placeOf(`${path}.port`) ?? undefined,
  });
}

/** Asks all sidecars of a mesh; those that do not answer have found out nothing. */
export async function detectionsOf(mesh: RunningMesh): Promise<Detections> {
  const found = new Map<number, Set<string>>();
  const addresses = mesh.replicas.flatMap(({ metricsAddress }) => (metricsAddress === '' ? [] : [metricsAddress]));
  const pages = await Promise.all(addresses.map((address) => ask(`http://${address}/metrics`)));
  for (const page of pages) {
    for (const { labels, value } of parseSamples(page?.body ?? '', [METRIC])) {
      const { direction, port, protocol = '' } = labels;
      // Inbound, ports are those of the pods.
      if (direction !== 'outbound' || value === 0) continue;
      const outcomes = found.get(Number(port)) ?? new Set();
      found.set(Number(port), outcomes.add(protocol));
    }
  }
  return found;
}
