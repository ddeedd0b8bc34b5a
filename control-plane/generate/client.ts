/** Whom resources are made for, and what is made. Knows no stream. */

/** `grpc` is a proxyless client, `envoy` any other that is not our sidecar. */
export type Dialect = 'sidecar' | 'envoy' | 'grpc';

/** A client as far as its resources depend on it. */
export interface Client {
  readonly namespace: string;
  /** Key in `Mesh.workloads`; null when it is no known pod. */
  readonly workload: string | null;
  /** The proof of identity names no pod, only this service account: the workload counts if it runs as that. */
  readonly serviceAccount?: string;
  readonly dialect: Dialect;
  /** Zone that it says it runs in (`node.locality.zone`); absent: that of its pod counts. */
  readonly zone?: string;
}

/**
 * What a resource is made from, said before it is made: so the same plan serves those who make it at once and those who keep
 * what they made.
 */
export interface Plan {
  /** The resource changes only when one of these is another object. */
  readonly parts: readonly [object, ...object[]];
  /** What distinguishes resources made from the same parts. */
  readonly variant: string;
  readonly encode: () => Uint8Array;
}

export interface GeneratedResource {
  /** The name that was asked for. */
  readonly name: string;
  /** The encoded message, without its `Any`. */
  readonly message: Uint8Array;
  /** Hash of the content: equal for equal content, in every process. */
  readonly version: string;
}
