/**
 * What becomes of destinations that the control plane does not know: as the sidecar's own setting says, else as the mesh says, else they
 * are passed through. Asked at each connection, so that a change is in force for the next one. Knows no socket.
 */
import { OUTBOUND_LISTENER } from '#api/names.ts';
import type { OutboundConfig } from '../config/snapshot.ts';
import type { WorkerSettings } from './messages.ts';

/** Where listeners are found by name. */
export interface ListenerView {
  listener(name: string): { readonly outbound?: OutboundConfig } | undefined;
}

export class OutboundPolicy {
  readonly #setting: WorkerSettings['unknownDestinations'];
  readonly #listeners: ListenerView;

  constructor(setting: WorkerSettings['unknownDestinations'], listeners: ListenerView) {
    this.#setting = setting;
    this.#listeners = listeners;
  }

  get refusesUnknown(): boolean {
    if (this.#setting !== 'mesh') return this.#setting === 'refuse';
    return this.#told?.refuseUnknown === true;
  }

  /** There are external services on this port that are known by name only. */
  asksForName(port: number): boolean {
    return this.#told?.namedPorts.includes(port) === true;
  }

  get #told(): OutboundConfig | undefined {
    return this.#listeners.listener(OUTBOUND_LISTENER)?.outbound;
  }
}
