/**
 * What a Service port carries, as far as it is declared: `appProtocol` first, then the prefix of the port's name, then
 * the number of a protocol that is never HTTP (to look for it there would be in vain). Knows no traffic.
 */
import type { ServicePortSpec } from '../kinds/service.ts';
import type { AppProtocol } from '../model/protocol.ts';

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
  ['nats', 'tcp'],
  ['smtp', 'tcp'],
  ['ldap', 'tcp'],
  ['ftp', 'tcp'],
  ['ssh', 'tcp'],
]);

/**
 * FTP, SSH, SMTP, POP, IMAP, SQL Server, Oracle, MySQL, NATS, Galera, PostgreSQL, AMQP, Redis, Kafka, Elasticsearch transport, Memcached, MongoDB:
 * the list of Linkerd's opaque ports, and its neighbours. At most of them the server speaks first.
 */
const OPAQUE_PORTS: ReadonlySet<number> = new Set([
  21, 22, 25, 110, 143, 465, 587, 993, 995, 1433, 1521, 3306, 4222, 4444, 5432, 5671, 5672, 6379, 9092, 9300, 11_211,
  27_017, 33_060,
]);

/** `unknown`: undeclared, to be detected on the connection. */
export function protocolOf(port: Pick<ServicePortSpec, 'appProtocol' | 'name' | 'port'>): AppProtocol {
  const declared = APP_PROTOCOLS.get(port.appProtocol.toLowerCase());
  if (declared !== undefined) return declared;
  const prefix = port.name.toLowerCase().split('-', 1)[0] ?? '';
  return APP_PROTOCOLS.get(prefix) ?? (OPAQUE_PORTS.has(port.port) ? 'tcp' : 'unknown');
}

/** Routes for HTTP can be in force there. */
export function mayCarryHttp(protocol: AppProtocol): boolean {
  return protocol !== 'tcp' && protocol !== 'tls';
}

/** Routes by server name can be in force there. */
export function mayCarryTls(protocol: AppProtocol): boolean {
  return protocol === 'tls' || protocol === 'unknown';
}

/** Bytes that nobody looks into can go there. */
export function mayCarryOpaque(protocol: AppProtocol): boolean {
  return protocol === 'tcp' || protocol === 'tls' || protocol === 'unknown';
}
