/**
 * Certificates of a throw-away authority, for tests that do TLS without a control plane.
 * Test-only.
 */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { systemClock } from '#base/clock.ts';
import { Authority, createIssuer, createRoot } from '../../control-plane/identity/authority.ts';
import type { TrustConfig } from '../../proxy/config/snapshot.ts';
import { createSigningRequest } from '../../proxy/supervisor/identity/csr.ts';
import type { IdentityMaterial } from '../../proxy/worker/messages.ts';

export class TestAuthority {
  readonly #authority: Authority;
  readonly #domain: string;

  constructor(trustDomain = 'cluster.local') {
    const wall = systemClock.wall();
    const root = createRoot(trustDomain, wall);
    const issuer = createIssuer(root, trustDomain, wall);
    this.#domain = trustDomain;
    this.#authority = new Authority(
      { root, issuer, extraRoots: [] },
      { trustDomain, maxLeafMs: 86_400_000, clock: systemClock },
    );
  }

  get trust(): TrustConfig {
    return { rootsPem: [this.#authority.trustBundle] };
  }

  spiffeId(serviceAccount: string, namespace = 'default'): string {
    return `spiffe://${this.#domain}/ns/${namespace}/sa/${serviceAccount}`;
  }

  identity(serviceAccount: string, namespace = 'default'): IdentityMaterial {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    const id = this.spiffeId(serviceAccount, namespace);
    const issued = this.#authority.issueWorkload(createSigningRequest(createPrivateKey(privateKeyPem), id), id, 0);
    if (!issued.ok) throw new Error(issued.error);
    return {
      spiffeId: id,
      certChainPem: issued.value.chain.join(''),
      privateKeyPem,
      notAfterMs: issued.value.notAfterMs,
    };
  }
}
