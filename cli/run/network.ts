/**
 * What a replica needs from the network it runs in: addresses, how to run a program there, what sidecar and application are told.
 * Two kinds exist: loopback addresses without any privilege, and network namespaces with captured traffic.
 */
import type { ServiceAddress } from './environment.ts';
import type { Command } from './kept-process.ts';
import type { Flags } from '../flags.ts';
import type { ExternalService } from '../../control-plane/kinds/external-service.ts';
import type { Service } from '../../control-plane/kinds/service.ts';

/** One replica's place in the network. */
export interface ReplicaNetwork {
  /** What the mesh knows the replica by. */
  readonly podAddress: string;
  /** Where the application listens, and what it is told is its own address. */
  readonly appAddress: string;
  /** `ADDRESS:PORT`s of the sidecar that the runner can reach. */
  readonly adminAddress: string;
  readonly metricsAddress: string;
  /** Flags of the sidecar for capture, addresses and ports. */
  readonly sidecarFlags: Flags;
  /** Variables that lead the application to its sidecar. */
  readonly appVariables: Readonly<Record<string, string>>;
  readonly services: readonly ServiceAddress[];
  /** The command, run in this place by the right user. */
  enter(command: Command, who: 'application' | 'sidecar'): Command;
  /** A file that the sidecar must be able to read. */
  lendToSidecar(file: string): void;
  leave(): Promise<void>;
}

export interface JoinRequest {
  readonly pod: string;
  readonly namespace: string;
  readonly meshed: boolean;
  readonly services: readonly Service[];
  readonly externals: readonly ExternalService[];
}

export interface Network {
  /** Where the control plane listens. */
  readonly controlPlaneAddress: string;
  /** Flags of the control plane that belong to this kind of network. */
  readonly controlPlaneFlags: Flags;
  /** Of folders with files for sidecars: these may be another user, who must get through to what is lent to them. */
  readonly folderMode: number;
  /** Rejects when the machine refuses. */
  join(request: JoinRequest): Promise<ReplicaNetwork>;
  /** Services came or went: names lead elsewhere. */
  servicesChanged(services: readonly Service[], externals: readonly ExternalService[]): void;
  close(): Promise<void>;
}

export const ADMIN_PORT = 15_000;
export const HTTP_PROXY_PORT = 15_001;
export const METRICS_PORT = 15_020;
