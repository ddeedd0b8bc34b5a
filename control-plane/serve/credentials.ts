/**
 * TLS of the gRPC port: our certificate, replaced while running, and a client certificate that is asked for but not required.
 * Knows nothing of who may do what: grpc-js reports a peer certificate only when its chain has been verified.
 */
import { ServerCredentials } from '@grpc/grpc-js';

export interface ServerIdentity {
  readonly keyPem: string;
  readonly chainPem: string;
  /** Roots that client certificates are verified against. */
  readonly trustPem: string;
}

export class OptionalClientCertificate extends ServerCredentials {
  /** @param handshakeTimeoutMs a connection whose handshake is not over by then is closed, however it drips */
  constructor(identity: ServerIdentity, handshakeTimeoutMs: number) {
    super(
      { requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2', handshakeTimeout: handshakeTimeoutMs },
      { key: identity.keyPem, cert: identity.chainPem, ca: identity.trustPem },
    );
  }

  /** New connections get the new certificate; open ones keep theirs. */
  renew(identity: ServerIdentity): void {
    this.updateSecureContextOptions({ key: identity.keyPem, cert: identity.chainPem, ca: identity.trustPem });
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}
