/**
 * What is done once at the beginning and once at the end of every exchange: trace headers and identity, counters and access log.
 * Knows no stream and no route.
 */
import type { Clock } from '#base/clock.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { FAILURES, grpcStatusOf as failureGrpcStatus } from '../exchange/failure.ts';
import type { EndpointMeters } from '../exchange/upstream.ts';
import { CLIENT_CERT_HEADER, stripIdentity } from '../filters/identity.ts';
import { readHop } from '../forwarding/hops.ts';
import { grpcStatusOfHttp } from '../http/grpc.ts';
import { formatAccess } from '../telemetry/access-log.ts';
import type { Counter } from '../telemetry/cells.ts';
import type { IdSource } from '../telemetry/ids.ts';
import { continueTrace } from '../telemetry/trace-context.ts';
import type { Meters } from './meters.ts';
import type { RecentExchanges } from './recent.ts';

export interface ObserveEnv {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly meters: Meters;
  readonly recent: RecentExchanges;
  /** Null: no access log. */
  readonly writeAccess: ((line: string) => void) | null;
  /** Counters of an exchange that found no cluster, or came in. */
  readonly metersOf: (exchange: Exchange) => EndpointMeters;
}

/** Headers of a request before anything is decided: nobody but the mesh says who the client is. */
export function prepareExchange(exchange: Exchange, env: Pick<ObserveEnv, 'ids'>): void {
  const { headers } = exchange.request;
  const { peer } = exchange;
  // Who may say what hops tell each other: a verified peer, and the application beside us.
  if (stripIdentity(headers, peer.direction === 'outbound' || peer.identity !== '')) readHop(exchange);
  if (peer.clientCert !== '') headers.add(CLIENT_CERT_HEADER, peer.clientCert);
  const trace = continueTrace(headers, env.ids);
  exchange.requestId = trace.requestId;
  exchange.traceId = trace.traceId;
  exchange.spanId = trace.spanId;
  exchange.beginsTrace = trace.begins;
}

/** An answer whose body still runs so long after its head is a stream: its length says how long somebody listened, not how fast it came. */
const STREAM_MS = 10_000;

/** Counts an exchange that is over, and writes its line. */
export function recordExchange(exchange: Exchange, env: ObserveEnv, localAnswers: (reason: string) => Counter): void {
  const { failure, peer } = exchange;
  const durationMs = env.clock.now() - exchange.startMs;
  exchange.durationMs = durationMs;
  env.recent.add(exchange);
  const flag = flagsOf(exchange);
  const own = peer.direction === 'inbound' ? null : (exchange.endpoint?.meters ?? exchange.cluster?.meters ?? null);
  const meters = own ?? env.metersOf(exchange);
  const grpcStatus = grpcStatusOf(exchange);
  const isStream = exchange.headMs >= 0 && durationMs - exchange.headMs > STREAM_MS;
  const latencyMs = isStream ? exchange.headMs : durationMs;
  meters.request(exchange.status, grpcStatus, flag, latencyMs, exchange.bytesReceived, exchange.bytesSent);
  if (failure !== null && failure.kind !== 'downstream-reset') localAnswers(failure.kind).inc();
  if (env.writeAccess !== null) env.writeAccess(accessLine(exchange, grpcStatus, flag, durationMs, env.clock.wall()));
}

const PROTOCOLS = { 10: 'HTTP/1.0', 11: 'HTTP/1.1', 20: 'HTTP/2' } as const;

/** Envoy's response flags, with a comma between two. */
function flagsOf({ failure, delayed }: Exchange): string {
  const flag = failure === null ? '' : FAILURES[failure.kind].flag;
  if (!delayed) return flag;
  return flag === '' ? 'DI' : `DI,${flag}`;
}

/** -1: no gRPC call. */
function grpcStatusOf({ isGrpc, grpcStatus, failure, status }: Exchange): number {
  if (!isGrpc || grpcStatus >= 0) return grpcStatus;
  return failure === null ? grpcStatusOfHttp(status) : failureGrpcStatus(failure);
}

function accessLine(
  exchange: Exchange,
  grpcStatus: number,
  flag: string,
  durationMs: number,
  nowWallMs: number,
): string {
  const { request, peer, endpoint, cluster, failure } = exchange;
  return formatAccess({
    startWallMs: nowWallMs - durationMs,
    direction: peer.direction,
    method: request.method,
    path: request.path,
    authority: request.authority,
    protocol: PROTOCOLS[request.version],
    responseCode: exchange.status,
    grpcStatus: grpcStatus < 0 ? null : grpcStatus,
    responseFlags: flag === '' ? '-' : flag,
    reason: failure === null ? '' : failure.kind,
    fallback: exchange.fellBack,
    durationMs,
    upstreamHost: endpoint === null ? '' : `${endpoint.config.address}:${endpoint.config.port}`,
    upstreamCluster: cluster?.config.name ?? '',
    routeName: exchange.routeName,
    attempts: exchange.attempts,
    bytesReceived: exchange.bytesReceived,
    bytesSent: exchange.bytesSent,
    requestId: exchange.requestId,
    traceId: exchange.traceId,
    spanId: exchange.spanId,
    downstreamPeer: peer.identity,
    upstreamPeer: endpoint?.config.identity ?? '',
    downstreamAddress: peer.address,
  });
}
