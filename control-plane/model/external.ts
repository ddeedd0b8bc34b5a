/**
 * Hosts outside the mesh as meant: how they are found, on which ports, with which TLS and policy; and which of them a name or an
 * address means. Knows no Kubernetes object and no xDS.
 */
import type { AppProtocol } from './protocol.ts';
import type { BackendPolicy, RoutePolicy } from './policy.ts';
import type { StreamPolicy } from './stream-route.ts';

/** TLS that a proxy begins for the application. */
export interface Origination {
  /** False: whoever answers is taken. */
  readonly verify: boolean;
  /** Empty: the host that was asked for. */
  readonly sni: string;
  /** Names of which the server's certificate must carry one. Empty: the SNI. */
  readonly names: readonly string[];
  /** PEM. Empty: see `caFile`. */
  readonly caPem: string;
  /** A file at the proxy. Empty, with `caPem` too: the roots of the system. */
  readonly caFile: string;
  /** Files at the proxy; null: no certificate is shown. */
  readonly certificate: { readonly certFile: string; readonly keyFile: string } | null;
  readonly minVersion: '1.2' | '1.3';
}

export interface ExternalPort {
  /** May be empty. */
  readonly name: string;
  readonly port: number;
  /** Where the hosts listen. */
  readonly targetPort: number;
  readonly protocol: AppProtocol;
  readonly tls: Origination | null;
  /** Names by which this port is found: those that no older object has. `*.` stands for one label or more. */
  readonly hosts: readonly string[];
  /** Addresses by which it is found, likewise. */
  readonly captured: readonly string[];
  readonly policy: BackendPolicy;
  readonly routePolicy: RoutePolicy;
  readonly streamPolicy: StreamPolicy;
}

export interface MeshExternal {
  readonly namespace: string;
  readonly name: string;
  /** `dns`: the host that was asked for is resolved; `static`: connections go to `addresses`; `passthrough`: to the address asked for. */
  readonly resolution: 'dns' | 'static' | 'passthrough';
  readonly addresses: readonly string[];
  readonly ports: readonly ExternalPort[];
}

/** One port of an external service, as it was asked for. */
export interface ExternalTarget {
  readonly external: MeshExternal;
  readonly port: ExternalPort;
  /** The host meant, never a wildcard; empty where only addresses are known. */
  readonly host: string;
  /** Set where there is no host: the address meant. */
  readonly address: string;
}

interface Index {
  /** By `host:port`. */
  readonly hosts: ReadonlyMap<string, Found>;
  /** By `.suffix:port`. */
  readonly suffixes: ReadonlyMap<string, Found>;
  /** By `address:port`, without brackets. */
  readonly addresses: ReadonlyMap<string, Found>;
}

type Found = Pick<ExternalTarget, 'external' | 'port'>;

const indexes = new WeakMap<ReadonlyMap<string, MeshExternal>, Index>();

/**
 * Which external service is meant by a name or an address.
 * @param host in lower case, without final dot
 */
export function externalAt(
  externals: ReadonlyMap<string, MeshExternal>,
  host: string,
  port: number,
): ExternalTarget | null {
  if (externals.size === 0) return null;
  const { hosts, suffixes, addresses } = indexOf(externals);
  const exact = hosts.get(`${host}:${port}`);
  if (exact !== undefined) return { ...exact, host, address: '' };
  const captured = addresses.get(`${host}:${port}`);
  if (captured !== undefined) return atAddress(captured, host);
  // The longest suffix counts (Gateway API, hostname matching).
  for (let dot = host.indexOf('.'); dot > 0; dot = host.indexOf('.', dot + 1)) {
    const found = suffixes.get(`${host.slice(dot)}:${port}`);
    if (found !== undefined) return { ...found, host, address: '' };
  }
  return null;
}

/** An address leads to the first host: that is the one which is resolved, and told to the server. */
function atAddress(found: Found, address: string): ExternalTarget {
  const { external, port } = found;
  const host = port.hosts.find((name) => !name.startsWith('*.')) ?? '';
  if (host !== '') return { ...found, host, address: '' };
  return { ...found, host: '', address: external.resolution === 'static' ? (port.captured[0] ?? address) : address };
}

function indexOf(externals: ReadonlyMap<string, MeshExternal>): Index {
  const known = indexes.get(externals);
  if (known !== undefined) return known;
  const hosts = new Map<string, Found>();
  const suffixes = new Map<string, Found>();
  const addresses = new Map<string, Found>();
  for (const external of externals.values()) {
    for (const port of external.ports) {
      const found = { external, port };
      for (const host of port.hosts) {
        if (host.startsWith('*.')) suffixes.set(`${host.slice(1)}:${port.port}`, found);
        else hosts.set(`${host}:${port.port}`, found);
      }
      for (const address of port.captured) addresses.set(`${address}:${port.port}`, found);
    }
  }
  const index = { hosts, suffixes, addresses };
  indexes.set(externals, index);
  return index;
}
