/** The small change of xDS messages: packed extensions, durations, where to subscribe. Knows no resource. */
import { ApiVersion, type Address, type ConfigSource } from '#api/generated/envoy/config/core/v3/core.ts';
import { RetryBudget, ServiceRef } from '#api/generated/tulle/config/v1/config.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import type { Duration } from '#api/generated/google/protobuf/duration.ts';
import { EXTENSION } from '#api/names.ts';
import type { BackendPolicy } from '../model/policy.ts';

/** What the generated code offers for each message. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
}

export function pack<T>(typeUrl: string, codec: Codec<T>, message: T): Any {
  return { typeUrl, value: Buffer.from(codec.encode(message).finish()) };
}

export function duration(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** The ADS stream that the resource itself came on. */
export const ADS: ConfigSource = {
  configSourceSpecifier: { $case: 'ads', value: {} },
  resourceApiVersion: ApiVersion.V3,
};

export function socketAddress(address: string, port: number): Address {
  const portSpecifier = { $case: 'portValue', value: port } as const;
  return { address: { $case: 'socketAddress', value: { protocol: 0, address, portSpecifier } } };
}

export function serviceRef(namespace: string, name: string, port: number): Any {
  return pack(EXTENSION.serviceRef, ServiceRef, { namespace, name, port });
}

export function retryBudget({ percent, minPerSecond, intervalMs }: BackendPolicy['retryBudget']): Any {
  return pack(EXTENSION.retryBudget, RetryBudget, { percent, minPerSecond, interval: duration(intervalMs) });
}
