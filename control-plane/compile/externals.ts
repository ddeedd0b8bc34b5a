/**
 * ExternalServices as the mesh sees them, and what each is told: an object that names a host and port which an older one has
 * does not get it. Knows no route: none can be attached there.
 */
import type { ExternalPortSpec, ExternalService, OriginationSpec } from '../kinds/external-service.ts';
import { objectKey } from '../kinds/meta.ts';
import type { ExternalPort, MeshExternal, Origination } from '../model/external.ts';
import type { AppProtocol } from '../model/protocol.ts';
import { addressName, destinationName } from '#api/names.ts';
import { byAge, condition, objectStatus, type Condition, type ObjectStatus } from './conditions.ts';
import { backendPolicy, routePolicy } from './policies/in-force.ts';
import { settler, type Losses } from './policies/settle.ts';
import { streamPolicy } from './policies/streams.ts';
import type { PolicyTable } from './policies/targets.ts';
import { protocolOf } from './protocols.ts';

export interface CompiledExternals {
  /** By `namespace/name`. */
  readonly externals: ReadonlyMap<string, MeshExternal>;
  readonly statuses: readonly ObjectStatus[];
}

const RESOLUTIONS = { DNS: 'dns', Static: 'static', PassThrough: 'passthrough' } as const;

export function compileExternals(
  services: ReadonlyMap<string, ExternalService>,
  policies: PolicyTable,
  losses: Losses,
  clusterDomain: string,
): CompiledExternals {
  const claims = new Claims(clusterDomain);
  const externals = new Map<string, MeshExternal>();
  const statuses: ObjectStatus[] = [];
  for (const service of [...services.values()].sort(byAge)) {
    const lost: string[] = [];
    const ports = service.spec.ports.map((port) => compilePort(service, port, claims, lost, policies, losses));
    const { namespace, name } = service.meta;
    const { resolution, addresses } = service.spec;
    externals.set(objectKey(service.meta), {
      namespace,
      name,
      resolution: RESOLUTIONS[resolution],
      addresses,
      ports,
    });
    const isFound = ports.some(({ hosts, captured }) => hosts.length + captured.length > 0);
    statuses.push(objectStatus(service, { conditions: conditionsOf(service, lost, isFound) }));
  }
  return { externals, statuses };
}

function conditionsOf(service: ExternalService, lost: readonly string[], isFound: boolean): Condition[] {
  const message = lost.join('; ');
  if (!isFound) return [condition(service, 'Accepted', false, 'Conflicted', `nothing is left of it: ${message}`)];
  const accepted = condition(service, 'Accepted', true, 'Accepted');
  return lost.length === 0 ? [accepted] : [accepted, condition(service, 'Conflicted', true, 'Conflicted', message)];
}

function compilePort(
  service: ExternalService,
  spec: ExternalPortSpec,
  claims: Claims,
  lost: string[],
  policies: PolicyTable,
  losses: Losses,
): ExternalPort {
  const { number: port, name, targetPort, tls } = spec;
  const won = (names: readonly string[], write: typeof destinationName): readonly string[] =>
    names.filter((one) => {
      const problem = claims.claim(write(one, port), one, service);
      if (problem !== null) lost.push(problem);
      return problem === null;
    });
  const levels = policies.levelsOfPort(service, name);
  const settle = settler(levels, losses);
  return {
    name,
    port,
    targetPort,
    protocol: externalProtocol(spec),
    tls: tls === null ? null : originationOf(tls),
    hosts: won(service.spec.hosts, destinationName),
    captured: won(service.spec.addresses, addressName),
    policy: backendPolicy(settle),
    routePolicy: routePolicy(settle, null),
    streamPolicy: streamPolicy(settle),
  };
}

/** A name such as `https` says what goes over the wire: with TLS begun by the sidecar, that is not what the application speaks. */
function externalProtocol({ appProtocol, name, number: port, tls }: ExternalPortSpec): AppProtocol {
  const declared = protocolOf({ appProtocol, name, port });
  return declared === 'tls' && tls !== null ? 'unknown' : declared;
}

function originationOf(spec: OriginationSpec): Origination {
  const { mode, sni, subjectAltNames, caBundle, caFile, clientCertificate, minVersion } = spec;
  return {
    verify: mode !== 'Insecure',
    sni,
    names: subjectAltNames,
    caPem: caBundle,
    caFile,
    certificate: clientCertificate,
    minVersion,
  };
}

/** Who has a host and port: the first that asks. */
class Claims {
  readonly #owners = new Map<string, ExternalService>();
  readonly #ofCluster: string;

  constructor(clusterDomain: string) {
    this.#ofCluster = `.svc.${clusterDomain}`;
  }

  /** Null: it is theirs now; else the sentence that says why it is not. */
  claim(key: string, host: string, service: ExternalService): string | null {
    if (host.endsWith(this.#ofCluster)) return `${host} is a name of this cluster: its Services have it`;
    const owner = this.#owners.get(key);
    if (owner !== undefined && owner !== service) return `${key} is that of ExternalService ${objectKey(owner.meta)}`;
    this.#owners.set(key, service);
    return null;
  }
}
