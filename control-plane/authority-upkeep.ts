/**
 * The authority of a running control plane: loaded from the state folder, renewed in time, and the certificate of its own port.
 * Knows when to renew; what certificates say is identity/'s business.
 */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { Authority } from './identity/authority.ts';
import { loadAuthority, saveIssuer, saveTrustBundle } from './identity/authority-files.ts';
import { OptionalClientCertificate } from './serve/credentials.ts';
import type { ServerIdentity } from './serve/credentials.ts';
import type { Settings } from './settings.ts';

const CHECK_MS = 3_600_000;
/** Name of the control plane's Service in a cluster. */
const SERVICE = 'tulle-control-plane';
const SERVER_LIFE_MS = 30 * 86_400_000;

export class AuthorityUpkeep {
  readonly authority: Authority;
  readonly credentials: OptionalClientCertificate;
  /** PEM roots for those who connect. */
  readonly caFile: string;
  readonly #settings: Settings;
  readonly #clock: Clock;
  #serverExpiryMs = 0;

  /** Throws when the state folder cannot be used. */
  constructor(settings: Settings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    const { stateDir, trustDomain, leafTtlMs } = settings;
    const material = loadAuthority(stateDir, trustDomain, clock.wall());
    this.authority = new Authority(material, { trustDomain, maxLeafMs: leafTtlMs, clock });
    this.caFile = saveTrustBundle(stateDir, this.authority.trustBundle);
    this.credentials = new OptionalClientCertificate(this.#serverIdentity(), settings.handshakeTimeoutMs);
  }

  /** Looks now and then whether something is due; returns what stops it. */
  start(log: Logger): () => void {
    const timer = this.#clock.every(CHECK_MS, () => this.#check(log));
    return () => timer.cancel();
  }

  #check(log: Logger): void {
    try {
      const issuer = this.authority.renewIssuer();
      if (issuer !== null) {
        saveIssuer(this.#settings.stateDir, issuer);
        log.info('a new issuer is in force', { until: issuer.certificate.validTo });
      }
      const isDue = this.#serverExpiryMs - this.#clock.wall() < SERVER_LIFE_MS / 3;
      if (issuer !== null || isDue) this.credentials.renew(this.#serverIdentity());
    } catch (error) {
      log.error('certificates could not be renewed', { reason: String(error) });
    }
  }

  #serverIdentity(): ServerIdentity {
    const names = serverNames(this.#settings);
    const certificate = this.authority.issueServer(names.dns, names.addresses, SERVER_LIFE_MS);
    this.#serverExpiryMs = certificate.notAfterMs;
    return { keyPem: certificate.keyPem, chainPem: certificate.chainPem, trustPem: this.authority.trustBundle };
  }
}

/** What the port is called in a cluster and on this machine, its own address, and what the settings add. */
function serverNames(settings: Settings): { dns: readonly string[]; addresses: readonly string[] } {
  const bound = settings.xdsAddress.replace(/:\d+$/, '').replaceAll(/[[\]]/g, '');
  const names = new Set([
    'localhost',
    SERVICE,
    `${SERVICE}.tulle-system`,
    `${SERVICE}.tulle-system.svc`,
    `${SERVICE}.tulle-system.svc.${settings.clusterDomain}`,
    '127.0.0.1',
    '::1',
    bound,
    ...settings.serverNames,
  ]);
  for (const everywhere of ['0.0.0.0', '::']) names.delete(everywhere);
  return { dns: [...names].filter((name) => !isAddress(name)), addresses: [...names].filter(isAddress) };
}

function isAddress(name: string): boolean {
  return name.includes(':') || /^[\d.]+$/.test(name);
}
