/**
 * The network for root on Linux: each replica in a network namespace of its own, joined by a bridge, its traffic captured by iptables.
 * Applications need no settings: Service names stand in /etc/hosts and lead to cluster IPs, as in a cluster.
 * What a crashed run left behind is removed at the next start with the same state folder.
 */
import { createHash } from 'node:crypto';
import { chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ExternalService } from '../../control-plane/kinds/external-service.ts';
import type { Service } from '../../control-plane/kinds/service.ts';
import { objectKey } from '../../control-plane/kinds/meta.ts';
import { parseClusterIpRange, withClusterIps } from '../../control-plane/sources/cluster-ips.ts';
import type { Flags } from '../flags.ts';
import type { Programs } from '../programs.ts';
import type { RunSettings } from './settings.ts';
import { execute, leftovers, usedBlocks } from './ip-tool.ts';
import type { Command } from './kept-process.ts';
import { ADMIN_PORT, METRICS_PORT, type JoinRequest, type Network, type ReplicaNetwork } from './network.ts';

/** The user that iptables lets through. */
const SIDECAR_ID = 1337;
const CLUSTER_IP_RANGE = '10.96.0.0/16';
const LAST_REPLICA = 254;

/** Rejects when this user may not, a tool is missing, or the sidecar's user cannot read its program. */
export async function namespaceNetwork(settings: RunSettings, programs: Programs): Promise<Network> {
  if (process.getuid?.() !== 0) throw new Error('--netns needs root: it makes network namespaces and iptables rules');
  const mark = createHash('sha256').update(settings.stateFolder).digest('hex').slice(0, 5);
  const network = new NamespaceNetwork(mark, settings, programs);
  await network.open();
  return network;
}

class NamespaceNetwork implements Network {
  readonly folderMode = 0o711;
  readonly #prefix: string;
  readonly #bridge: string;
  readonly #settings: RunSettings;
  readonly #programs: Programs;
  readonly #places = new Map<number, string>();
  #block = 0;
  #services: readonly Service[] = [];
  #externals: readonly ExternalService[] = [];

  constructor(mark: string, settings: RunSettings, programs: Programs) {
    this.#prefix = `tulle-${mark}-`;
    this.#bridge = `tulle-${mark}`;
    this.#settings = settings;
    this.#programs = programs;
  }

  get controlPlaneAddress(): string {
    return `10.66.${this.#block}.1`;
  }

  get controlPlaneFlags(): Flags {
    return { 'cluster-ip-range': CLUSTER_IP_RANGE };
  }

  async open(): Promise<void> {
    await this.#removeLeftovers();
    const used = await usedBlocks();
    while (used.has(this.#block)) this.#block++;
    await execute(
      'ip',
      ['-batch', '-'],
      [
        `link add ${this.#bridge} type bridge`,
        `addr add ${this.controlPlaneAddress}/24 dev ${this.#bridge}`,
        `link set ${this.#bridge} up`,
      ],
    );
    const script = this.#programs.sidecar.args.at(-1) ?? '';
    const answer = await execute('setpriv', asSidecar(['sh', '-c', 'test -r "$0" && echo yes || echo no', script]));
    if (answer.trim() !== 'yes') {
      throw new Error(
        `the sidecar's user (${SIDECAR_ID}) cannot read ${script}: put the project where others may read it`,
      );
    }
  }

  servicesChanged(services: readonly Service[], externals: readonly ExternalService[]): void {
    this.#services = services;
    this.#externals = externals;
    for (const [number, namespace] of this.#places) this.#writeHosts(this.#prefix + number, namespace);
  }

  async join(request: JoinRequest): Promise<ReplicaNetwork> {
    const number = this.#freeNumber();
    this.#places.set(number, request.namespace);
    const name = this.#prefix + number;
    const address = `10.66.${this.#block}.${number}`;
    const veth = `tl${this.#prefix.slice(6, 11)}-${number}`;
    this.#writeHosts(name, request.namespace);
    await execute(
      'ip',
      ['-batch', '-'],
      [
        `netns add ${name}`,
        `link add ${veth} type veth peer name eth0 netns ${name}`,
        `link set ${veth} master ${this.#bridge}`,
        `link set ${veth} up`,
      ],
    );
    await execute(
      'ip',
      ['-n', name, '-batch', '-'],
      [
        'link set lo up',
        `addr add ${address}/24 dev eth0`,
        'link set eth0 up',
        `route add default via ${this.controlPlaneAddress}`,
      ],
    );
    if (request.meshed) await this.#capture(name);
    return {
      podAddress: address,
      appAddress: address,
      adminAddress: `127.0.0.1:${ADMIN_PORT}`,
      metricsAddress: `${address}:${METRICS_PORT}`,
      sidecarFlags: { capture: 'redirect', 'pod-address': address },
      appVariables: {},
      services: this.#serviceAddresses(request.namespace),
      enter: (command, who) => enter(name, command, who),
      lendToSidecar: (file) => chownSync(file, SIDECAR_ID, SIDECAR_ID),
      leave: () => this.#leave(number),
    };
  }

  close(): Promise<void> {
    return this.#removeLeftovers();
  }

  /** The rules are written by the sidecar's own command, as in a cluster. */
  async #capture(name: string): Promise<void> {
    const { program, args } = this.#programs.sidecar;
    await execute('ip', ['netns', 'exec', name, program, ...args, 'capture', 'apply']);
  }

  async #leave(number: number): Promise<void> {
    await removeNamespace(this.#prefix + number);
    this.#places.delete(number);
  }

  #freeNumber(): number {
    for (let n = 2; n <= LAST_REPLICA; n++) if (!this.#places.has(n)) return n;
    throw new Error(`--netns has room for ${LAST_REPLICA - 1} replicas`);
  }

  async #removeLeftovers(): Promise<void> {
    for (const name of await leftovers(this.#prefix)) await removeNamespace(name);
    await execute('ip', ['link', 'del', this.#bridge]).catch(() => undefined);
  }

  /** In place, so that a namespace that has the file mounted sees the change. */
  #writeHosts(name: string, namespace: string): void {
    const lines = ['127.0.0.1 localhost', '::1 localhost'];
    for (const { meta, address } of this.#addressed()) {
      const scoped = `${meta.name}.${meta.namespace}`;
      const short = meta.namespace === namespace ? ` ${meta.name}` : '';
      lines.push(`${address} ${scoped}.svc.${this.#settings.clusterDomain} ${scoped}.svc ${scoped}${short}`);
    }
    for (const { spec } of this.#externals) {
      const hosts = spec.hosts.filter((host) => !host.startsWith('*.'));
      if (spec.addresses[0] !== undefined && hosts.length > 0) lines.push(`${spec.addresses[0]} ${hosts.join(' ')}`);
    }
    const folder = path.join('/etc/netns', name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'hosts'), `${lines.join('\n')}\n`, { mode: 0o644 });
  }

  #serviceAddresses(namespace: string): ReplicaNetwork['services'] {
    const own = this.#addressed().filter(({ meta }) => meta.namespace === namespace);
    return own.map(({ meta, address, spec }) => ({
      service: meta.name,
      ports: spec.ports.map(({ name, port }) => ({ name, address, port })),
    }));
  }

  /** Services with their cluster IPs, by the same rule as the control plane's. */
  #addressed(): readonly (Service & { readonly address: string })[] {
    const range = parseClusterIpRange(CLUSTER_IP_RANGE);
    if (!range.ok) throw new Error(range.error);
    const byKey = new Map(this.#services.map((service) => [objectKey(service.meta), service]));
    return [...withClusterIps(byKey, range.value).values()].flatMap((service) => {
      const [address] = service.spec.clusterIps;
      return address === undefined ? [] : [{ ...service, address }];
    });
  }
}

async function removeNamespace(name: string): Promise<void> {
  await execute('ip', ['netns', 'del', name]).catch(() => undefined);
  rmSync(path.join('/etc/netns', name), { recursive: true, force: true });
}

function enter(name: string, command: Command, who: 'application' | 'sidecar'): Command {
  const inner = [command.program, ...command.args];
  const args = ['netns', 'exec', name, ...(who === 'sidecar' ? ['setpriv', ...asSidecar(inner)] : inner)];
  return { ...command, program: 'ip', args };
}

function asSidecar(command: readonly string[]): readonly string[] {
  return [`--reuid=${SIDECAR_ID}`, `--regid=${SIDECAR_ID}`, '--clear-groups', '--', ...command];
}
