/**
 * The inbound listener of a workload's own sidecar: for each port of the application a chain under mutual TLS and, where the
 * workload is PERMISSIVE, one without. Knows no client of the application.
 */
import { TrafficDirection } from '#api/generated/envoy/config/core/v3/core.ts';
import { Listener, type FilterChain } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { INBOUND_LISTENER, inboundCluster, PASSTHROUGH_CLUSTER } from '#api/names.ts';
import type { Workload } from '../model/mesh.ts';
import type { AppProtocol } from '../model/protocol.ts';
import type { StreamPolicy } from '../model/stream-route.ts';
import type { Arrival } from './arrivals.ts';
import {
  chain,
  connectionManager,
  HTTP_PROTOCOLS,
  httpFilter,
  httpInspector,
  originalDst,
  tlsInspector,
} from './listeners.ts';
import { socketAddress } from './messages.ts';
import { plainTable } from './routes.ts';
import { tcpFilter } from './streams.ts';
import { downstreamTls } from './tls.ts';

/** Where captured inbound connections arrive. */
const INBOUND_PORT = 15_006;

/** Silence is judged where the client's policy is known, and the application beside us is there or not. */
const STREAMS: StreamPolicy = { idleTimeoutMs: 0, connectAttempts: 1 };

type Transport = 'tls' | 'raw_buffer';

/** @param arrivals by port */
export function inboundListener(workload: Workload, arrivals: ReadonlyMap<number, Arrival>): Listener {
  const transports: readonly Transport[] = workload.mtlsMode === 'STRICT' ? ['tls'] : ['tls', 'raw_buffer'];
  const filterChains = transports.flatMap((transport) => transportChains(workload, arrivals, transport));
  return Listener.fromPartial({
    name: INBOUND_LISTENER,
    address: socketAddress('0.0.0.0', INBOUND_PORT),
    useOriginalDst: false,
    trafficDirection: TrafficDirection.INBOUND,
    listenerFilters: [originalDst(), tlsInspector(), httpInspector()],
    filterChains,
  });
}

function transportChains(
  { inboundPorts }: Workload,
  arrivals: ReadonlyMap<number, Arrival>,
  transport: Transport,
): readonly FilterChain[] {
  const declared = inboundPorts.flatMap(({ port, protocol }) =>
    portChains(port, protocol, arrivals.get(port) ?? null, transport),
  );
  // Ports that nobody declared: the application may listen there all the same.
  const other = chain(`other|${transport}`, tcpFilter(PASSTHROUGH_CLUSTER, STREAMS), { transportProtocol: transport });
  return [...declared, secured(transport, other)];
}

function portChains(port: number, protocol: AppProtocol, arrival: Arrival | null, transport: Transport): FilterChain[] {
  const cluster = inboundCluster(port);
  const match = { destinationPort: port, transportProtocol: transport };
  const detected = { ...match, applicationProtocols: [...HTTP_PROTOCOLS] };
  const http = (): FilterChain['filters'][number] =>
    httpFilter(connectionManager(cluster, { $case: 'routeConfig', value: plainTable(cluster, cluster, arrival) }));
  const named = (kind: string): string => `${port}|${transport}|${kind}`;
  switch (protocol) {
    case 'tcp':
    case 'tls':
      return [secured(transport, chain(named('tcp'), tcpFilter(cluster, STREAMS), match))];
    case 'unknown':
      return [
        secured(transport, chain(named('http'), http(), detected)),
        secured(transport, chain(named('tcp'), tcpFilter(cluster, STREAMS), match)),
      ];
    case 'http':
    case 'http2':
    case 'grpc':
      return [secured(transport, chain(named('http'), http(), match))];
  }
}

function secured(transport: Transport, filterChain: FilterChain): FilterChain {
  return transport === 'tls' ? { ...filterChain, transportSocket: downstreamTls() } : filterChain;
}
