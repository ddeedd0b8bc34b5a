/**
 * Mutual TLS between sidecars: TLS 1.3 only, certificates of the mesh on both sides, the peer known by its SPIFFE ID.
 * Knows where certificates are used, not where they come from. Without identity and trust bundle nobody is let in and nobody is called.
 */
import { isIP, type OnReadOpts, type Socket } from 'node:net';
import {
  connect,
  createSecureContext,
  createServer,
  type ConnectionOptions,
  type PeerCertificate,
  type SecureContext,
  type Server,
  type TLSSocket,
} from 'node:tls';
import { constants, X509Certificate } from 'node:crypto';
import { ALPN } from '#api/names.ts';
import { isInTrustDomain, spiffeIdOf } from './peer-identity.ts';
import { carriesTls } from './reset.ts';

export interface TlsMaterial {
  readonly certChainPem: string;
  readonly privateKeyPem: string;
  readonly rootsPem: readonly string[];
}

/** A resumed session would skip the check against a newer trust bundle (CVE-2021-32780 class, reliability rule 1.6): no tickets. */
const NO_TICKETS = constants.SSL_OP_NO_TICKET;
const HANDSHAKE_TIMEOUT_MS = 10_000;

function contextOptions(material: TlsMaterial): {
  cert: string;
  key: string;
  ca: string[];
  minVersion: 'TLSv1.3';
  maxVersion: 'TLSv1.3';
  secureOptions: number;
} {
  return {
    cert: material.certChainPem,
    key: material.privateKeyPem,
    ca: [...material.rootsPem],
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    secureOptions: NO_TICKETS,
  };
}

/** The SPIFFE ID that the other end has proved; null when its certificate is no SVID. */
export function provenIdentity(socket: TLSSocket): string | null {
  const certificate = socket.getPeerCertificate();
  return spiffeIdOf(certificate.subjectaltname);
}

export interface AcceptHandlers {
  /** Handshake done; `identity` is proven and in the trust domain. */
  readonly onSecure: (socket: TLSSocket, identity: string) => void;
  /** The client was refused; the socket is destroyed already. `reason` is for counters. */
  readonly onRefused: (reason: 'no-identity' | 'handshake' | 'not-an-svid') => void;
}

/** Answers handshakes for one destination port. */
export interface Acceptor {
  /** Takes an accepted socket whose bytes read so far have been unshifted. */
  accept(socket: Socket): void;
  close(): void;
}

export class MeshTls {
  readonly #trustDomain: string;
  readonly #servers = new Set<Server>();
  #options: ReturnType<typeof contextOptions> | null = null;
  #client: SecureContext | null = null;

  constructor(trustDomain: string) {
    this.#trustDomain = trustDomain;
  }

  get isReady(): boolean {
    return this.#options !== null;
  }

  /**
   * Puts new certificates or roots in force for every handshake from now on. Connections that stand stay.
   * Null, or why they cannot be used: then nothing has changed.
   */
  update(material: TlsMaterial): string | null {
    const options = contextOptions(material);
    let client: SecureContext;
    try {
      // OpenSSL passes over roots that it cannot read, and would trust nobody.
      for (const pem of options.ca) void new X509Certificate(pem);
      client = createSecureContext(options);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    this.#options = options;
    this.#client = client;
    for (const server of this.#servers) server.setSecureContext(options);
    return null;
  }

  acceptor(handlers: AcceptHandlers): Acceptor {
    let server: Server | null = null;
    return {
      accept: (socket) => {
        if (this.#options === null) {
          socket.destroy();
          handlers.onRefused('no-identity');
          return;
        }
        server ??= this.#createServer(this.#options, handlers);
        server.emit('connection', socket);
      },
      close: () => {
        if (server !== null) this.#servers.delete(server);
      },
    };
  }

  /**
   * Opens a connection on which the peer must prove one of `identities`; null before there is an own identity.
   * @param protocols to offer in ALPN, in order of preference
   * Errors come as `error` events with a `code`; a wrong peer is `ERR_TULLE_PEER_IDENTITY`.
   */
  connect(
    address: string,
    port: number,
    serverName: string,
    identities: readonly string[],
    protocols: readonly string[],
    onread?: OnReadOpts,
  ): TLSSocket | null {
    if (this.#client === null) return null;
    const options: ConnectionOptions & { allowHalfOpen: boolean; onread?: OnReadOpts } = {
      host: address,
      port,
      secureContext: this.#client,
      // Addresses are no server names (RFC 6066 section 3), and Node throws at one; who is meant is checked by identity.
      servername: isIP(serverName) === 0 ? serverName : '',
      ALPNProtocols: [...protocols],
      minVersion: 'TLSv1.3',
      rejectUnauthorized: true,
      allowHalfOpen: true,
      checkServerIdentity: (_name, certificate) => this.#checkPeer(certificate, identities),
    };
    if (onread !== undefined) options.onread = onread;
    const socket = connect(options);
    socket.setNoDelay(true);
    return socket;
  }

  #checkPeer(certificate: PeerCertificate, identities: readonly string[]): Error | undefined {
    const id = spiffeIdOf(certificate.subjectaltname);
    if (id !== null && isInTrustDomain(id, this.#trustDomain) && identities.includes(id)) return undefined;
    const said = id ?? 'no SPIFFE ID';
    const error = new Error(`the peer proved ${said}, expected ${identities.join(' or ')}`);
    return Object.assign(error, { code: 'ERR_TULLE_PEER_IDENTITY' });
  }

  #createServer(options: ReturnType<typeof contextOptions>, handlers: AcceptHandlers): Server {
    const server = createServer({
      ...options,
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ALPNProtocols: [ALPN.h2, ALPN.http1, ALPN.mesh],
      allowHalfOpen: true,
    });
    server.on('secureConnection', (socket) => {
      carriesTls(socket);
      // It may fail before anyone else listens: while its protocol is detected, or an endpoint is connected to.
      socket.on('error', () => undefined);
      const identity = provenIdentity(socket);
      if (identity !== null && isInTrustDomain(identity, this.#trustDomain)) {
        handlers.onSecure(socket, identity);
        return;
      }
      socket.destroy();
      handlers.onRefused('not-an-svid');
    });
    server.on('tlsClientError', (_error, socket) => {
      socket.destroy();
      handlers.onRefused('handshake');
    });
    this.#servers.add(server);
    return server;
  }
}
