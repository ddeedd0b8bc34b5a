/**
 * The two protocols of ADS as bytes: requests read into demands, answers written as responses.
 * Knows protobuf and nothing of subscriptions, so that these stay free of it.
 */
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
} from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import type { Node } from '#api/generated/envoy/config/core/v3/core.ts';
import type { ResourceType } from '#api/names.ts';
import { DeltaSubscription } from './delta-subscription.ts';
import type { DeltaAnswer, DeltaDemand } from './delta-subscription.ts';
import { SotwSubscription } from './sotw-subscription.ts';
import type { SotwAnswer, SotwDemand } from './sotw-subscription.ts';
import type { Subscription } from './subscription.ts';

/** Of what a client says about a refusal more than this is neither kept nor logged. */
const MAX_REASON = 4096;

export interface Request<Demand> {
  /** Only the first request of a stream need have one. */
  readonly node: Node | undefined;
  readonly typeUrl: string;
  readonly demand: Demand;
}

export interface Protocol<Demand, Answer> {
  readonly name: 'delta' | 'sotw';
  subscription(type: ResourceType): Subscription<Demand, Answer>;
  /** Throws when the bytes are no request. */
  read(bytes: Buffer): Request<Demand>;
  write(type: ResourceType, answer: Answer): Buffer;
  /** Names of what is new to the client in an answer, and how many it removes. */
  contents(answer: Answer): { readonly names: readonly string[]; readonly removed: number };
}

export const DELTA: Protocol<DeltaDemand, DeltaAnswer> = {
  name: 'delta',
  subscription: (type) => new DeltaSubscription(type),
  read(bytes) {
    const message = DeltaDiscoveryRequest.decode(bytes);
    return {
      node: message.node,
      typeUrl: message.typeUrl,
      demand: {
        subscribe: message.resourceNamesSubscribe,
        unsubscribe: message.resourceNamesUnsubscribe,
        initialVersions: message.initialResourceVersions,
        nonce: message.responseNonce,
        error: message.errorDetail?.message.slice(0, MAX_REASON) ?? null,
      },
    };
  },
  write(type, answer) {
    const resources = answer.resources.map(({ name, version, message }) => ({
      name,
      version,
      resource: { typeUrl: type, value: asBuffer(message) },
    }));
    const response = {
      systemVersionInfo: answer.nonce,
      typeUrl: type,
      resources,
      removedResources: [...answer.removed],
      nonce: answer.nonce,
    };
    return asBuffer(DeltaDiscoveryResponse.encode(response).finish());
  },
  contents: (answer) => ({ names: answer.resources.map(({ name }) => name), removed: answer.removed.length }),
};

export const SOTW: Protocol<SotwDemand, SotwAnswer> = {
  name: 'sotw',
  subscription: (type) => new SotwSubscription(type),
  read(bytes) {
    const message = DiscoveryRequest.decode(bytes);
    return {
      node: message.node,
      typeUrl: message.typeUrl,
      demand: {
        names: message.resourceNames,
        version: message.versionInfo,
        nonce: message.responseNonce,
        error: message.errorDetail?.message.slice(0, MAX_REASON) ?? null,
      },
    };
  },
  write(type, answer) {
    const response = {
      versionInfo: answer.version,
      typeUrl: type,
      resources: answer.resources.map(({ message }) => ({ typeUrl: type, value: asBuffer(message) })),
      nonce: answer.nonce,
    };
    return asBuffer(DiscoveryResponse.encode(response).finish());
  },
  contents: (answer) => ({ names: answer.changed, removed: 0 }),
};

/** grpc-js frames Buffers only. The bytes are not copied. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
