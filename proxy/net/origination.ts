/**
 * TLS towards hosts outside the mesh: the server is verified against a bundle and by name, and may be shown a certificate from files.
 * Knows nothing of identities of the mesh.
 */
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  getCACertificates,
  type ConnectionOptions,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import type { Clock } from '#base/clock.ts';
import type { OriginationConfig } from '../config/snapshot.ts';

/** Files are read again after this: mounted Secrets change under way. */
const FILES_FRESH_MS = 60_000;

let systemRoots: string[] | null = null;

/** Those that come with Node, and those of the machine. Read once. */
function rootsOfSystem(): string[] {
  systemRoots ??= [...new Set([...getCACertificates('bundled'), ...getCACertificates('system')])];
  return systemRoots;
}

export class Origination {
  readonly #config: OriginationConfig;
  readonly #clock: Clock;
  #context: SecureContext | null = null;
  #madeMs = 0;

  constructor(config: OriginationConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  /**
   * Opens a connection and begins TLS on it. Errors come as `error` events with a `code`; one that cannot be begun, for a file is missing, likewise.
   * @param options where to
   */
  connect(options: ConnectionOptions): Socket {
    const { sni, verify, alpn } = this.#config;
    let secureContext: SecureContext;
    try {
      secureContext = this.#secureContext();
    } catch (error) {
      return failing(error);
    }
    const socket: TLSSocket = connect({
      ...options,
      secureContext,
      // An absent name would be taken from the host.
      servername: sni,
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
      rejectUnauthorized: verify,
      checkServerIdentity: (_host, certificate) => this.#checkNames(certificate),
    });
    socket.setNoDelay(true);
    return socket;
  }

  /** The last good one stays in force when a file cannot be used. */
  #secureContext(): SecureContext {
    const { certificate, caFile } = this.#config;
    const now = this.#clock.now();
    const hasFiles = certificate !== null || caFile !== null;
    if (this.#context !== null && (!hasFiles || now - this.#madeMs < FILES_FRESH_MS)) return this.#context;
    this.#madeMs = now;
    try {
      this.#context = this.#makeContext();
    } catch (error) {
      if (this.#context === null) throw error;
    }
    return this.#context;
  }

  #makeContext(): SecureContext {
    const { verify, caPem, caFile, certificate, minVersion, maxVersion } = this.#config;
    const ca = verify ? (caPem ?? (caFile === null ? rootsOfSystem() : readFileSync(caFile, 'utf8'))) : undefined;
    return createSecureContext({
      minVersion,
      maxVersion,
      ...(ca !== undefined && { ca }),
      ...(certificate !== null && {
        cert: readFileSync(certificate.certFile, 'utf8'),
        key: readFileSync(certificate.keyFile, 'utf8'),
      }),
    });
  }

  #checkNames(certificate: PeerCertificate): Error | undefined {
    const { names } = this.#config;
    let wrong: Error | undefined;
    for (const name of names) {
      wrong = checkServerIdentity(name, certificate);
      if (wrong === undefined) return undefined;
    }
    return wrong;
  }
}

/** A socket that is broken from the beginning. */
function failing(error: unknown): Socket {
  const socket = new Socket();
  const reason = error instanceof Error ? error : new Error(String(error));
  process.nextTick(() => socket.destroy(reason));
  return socket;
}
