/**
 * What the two protocols have in common: a subscription to one type on one stream, as the stream drives it.
 * Knows nothing of gRPC; bounds of what a client may ask for stand here.
 */
import { TYPE } from '#api/names.ts';
import type { ResourceType } from '#api/names.ts';
import type { Lookup } from './provider.ts';

/** Asks for everything that there is (xDS, "How the client specifies what resources to return"). */
export const WILDCARD = '*';
/** More names than this on one subscription end the stream. */
export const MAX_NAMES = 10_000;
/** No name of ours is longer: a host name with its port. */
const MAX_NAME_LENGTH = 512;
/** A response is closed when it has grown to this; clients commonly refuse messages above 4 MiB. */
export const RESPONSE_BYTES = 1_048_576;
/** Responses that may wait for their ack; a client that does not answer gets no more. */
export const MAX_IN_FLIGHT = 8;

/** First what is new or changed, type by type; removals when everything that referred to them has been told. */
export type Phase = 'update' | 'removal';

/** What a request said about an earlier response. `stale`: it answers a response that is no longer the one that counts. */
export type Receipt =
  | { readonly kind: 'none' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'ack'; readonly nonce: string }
  | { readonly kind: 'nack'; readonly nonce: string; readonly reason: string; readonly names: readonly string[] }
  /** The client asked for more than it may. */
  | { readonly kind: 'excess' };

/** A name as people see it in the debug view. Versions are null where nothing was sent, acked or nacked. */
export interface HeldView {
  readonly name: string;
  readonly sent: string | null;
  readonly acked: string | null;
  readonly nacked: string | null;
}

export interface SubscriptionView {
  readonly type: ResourceType;
  readonly wildcard: boolean;
  /** Names that were asked for and do not exist. */
  readonly absent: readonly string[];
  readonly held: readonly HeldView[];
  /** The reason of the last nack that no later ack has settled. */
  readonly lastNack: string | null;
}

export interface Subscription<Request, Response> {
  /** Nothing more can be said before the client has answered. */
  readonly isFull: boolean;
  receive(request: Request): Receipt;
  /** The next response of this phase under `nonce`, noted as sent; null when there is nothing to say. */
  next(phase: Phase, lookup: Lookup, nonce: string): Response | null;
  /** Makes the next plan send these names again although they have not changed. */
  resend(names: readonly string[]): void;
  view(): SubscriptionView;
}

/** Whether a client that asks for `asked` too, and then has asked for `all`, goes beyond what it may cost. */
export function isExcess(all: ReadonlySet<string>, asked: readonly string[]): boolean {
  return all.size > MAX_NAMES || asked.some((name) => name.length > MAX_NAME_LENGTH);
}

/** Only these types have the old form of the wildcard: a first request without names. */
export function emptyMeansAll(type: ResourceType): boolean {
  return type === TYPE.listener || type === TYPE.cluster;
}
