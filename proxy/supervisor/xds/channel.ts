/**
 * How the sidecar reaches its control plane: TLS with the mesh's roots, and the workload's token on each call.
 * Both files are read again at each connect, for both are rotated under us. Used for ADS and for certificates.
 */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { credentials, Metadata, type ChannelCredentials, type ClientOptions, type VerifyOptions } from '@grpc/grpc-js';

/** Where the control plane is and how a caller proves itself. */
export interface ControlPlaneAddress {
  readonly address: string;
  readonly port: number;
  /** Name that its certificate must carry. */
  readonly serverName: string;
  readonly caFile: string;
  readonly tokenFile: string;
}

/** What one connection is made of. */
export interface ChannelParts {
  readonly target: string;
  readonly credentials: ChannelCredentials;
  readonly options: ClientOptions;
  readonly metadata: Metadata;
}

export type ReadFile = (path: string) => Promise<string>;

/** A dead control plane is noticed within 30 s + 10 s; grpc-js slows down by itself when a server objects. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** A response with more is a mistake; grpc's own default of 4 MiB is too small for 10,000 endpoints. */
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;

/** SNI takes no addresses (RFC 6066 section 3), and Node refuses them there. */
const SNI_FOR_ADDRESSES = 'localhost';

/** A control plane that is known by its address only must have that address in its certificate. */
function verification(serverName: string): VerifyOptions {
  if (isIP(serverName) === 0) return {};
  return {
    checkServerIdentity: (_, { raw }) =>
      new X509Certificate(raw).checkIP(serverName) === undefined
        ? new Error(`the certificate of the control plane is not for ${serverName}`)
        : undefined,
  };
}

/** Rejects when a file cannot be read. */
export async function openChannel(address: ControlPlaneAddress, readFile: ReadFile): Promise<ChannelParts> {
  const [ca, token] = await Promise.all([readFile(address.caFile), readFile(address.tokenFile)]);
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token.trim()}`);
  const host = address.address.includes(':') ? `[${address.address}]` : address.address;
  return {
    target: `${host}:${address.port}`,
    credentials: credentials.createSsl(Buffer.from(ca), null, null, verification(address.serverName)),
    metadata,
    options: {
      'grpc.ssl_target_name_override': isIP(address.serverName) === 0 ? address.serverName : SNI_FOR_ADDRESSES,
      'grpc.default_authority': address.serverName,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.max_receive_message_length': MAX_RESPONSE_BYTES,
      // Back-off is ours: no shared connection that remembers its own.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      // The application's HTTP_PROXY may well be this sidecar.
      'grpc.enable_http_proxy': 0,
    },
  };
}
