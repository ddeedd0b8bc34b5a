/**
 * What a Service port carries, as far as it is declared: `appProtocol` first, then the prefix of the port's name, then
 * the number of protocols where the server speaks first (detection would wait for ever). Knows no traffic.
 */
import type { ServicePortSpec } from '../kinds/service.ts';
import type { AppProtocol } from '../model/mesh.ts';

/** Kubernetes' standard names (KEP-3726) and those that Istio and Linkerd understand; lower-case. */
const APP_PROTOCOLS: ReadonlyMap<string, AppProtocol> = new Map([
  ['http', 'http'],
  ['kubernetes.io/ws', 'http'],
  ['http2', 'http2'],
  ['h2c', 'http2'],
  ['kubernetes.io/h2c', 'http2'],
  ['grpc', 'grpc'],
  ['tcp', 'tcp'],
  ['tls', 'tls'],
  ['https', 'tls'],
  ['kubernetes.io/wss', 'tls'],
  ['linkerd.io/opaque', 'tcp'],
  ['redis', 'tcp'],
  ['mysql', 'tcp'],
  ['postgres', 'tcp'],
  ['postgresql', 'tcp'],
  ['mongo', 'tcp'],
  ['mongodb', 'tcp'],
  ['kafka', 'tcp'],
  ['amqp', 'tcp'],
  ['mqtt', 'tcp'],
  ['smtp', 'tcp'],
]);

/** SMTP, MySQL, NATS, PostgreSQL, Redis, Elasticsearch transport, Memcached, …: the list of Linkerd's opaque ports, and its neighbours. */
const SERVER_FIRST_PORTS: ReadonlySet<number> = new Set([
  25, 465, 587, 1433, 3306, 4222, 4444, 5432, 5671, 5672, 6379, 9092, 9300, 11_211, 27_017,
]);

/** `unknown`: undeclared, to be detected on the connection. */
export function protocolOf(port: Pick<ServicePortSpec, 'appProtocol' | 'name' | 'port'>): AppProtocol {
  const declared = APP_PROTOCOLS.get(port.appProtocol.toLowerCase());
  if (declared !== undefined) return declared;
  const prefix = port.name.toLowerCase().split('-', 1)[0] ?? '';
  return APP_PROTOCOLS.get(prefix) ?? (SERVER_FIRST_PORTS.has(port.port) ? 'tcp' : 'unknown');
}

/** Routes for HTTP can be in force there. */
export function mayCarryHttp(protocol: AppProtocol): boolean {
  return protocol !== 'tcp' && protocol !== 'tls';
}
