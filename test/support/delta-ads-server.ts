/**
 * The least delta ADS server that a client can live with: answers every subscription once, at once, and notes what is acked and nacked.
 * No TLS, no pushes; for tests of resources, not of serving.
 */
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  DeltaDiscoveryResponse,
  type DeltaDiscoveryRequest,
} from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import type { ResourceType } from '#api/names.ts';
import { ADS_SERVICE } from './grpc-services.ts';

export interface Served {
  readonly name: string;
  readonly message: Uint8Array;
  readonly version: string;
}

export interface ServedSet {
  resource(type: ResourceType, name: string): Served | null;
  names(type: ResourceType): readonly string[];
}

export class DeltaAdsServer {
  readonly #server = new Server();
  readonly #set: ServedSet;
  readonly #waiting: { readonly type: string; readonly resolve: () => void }[] = [];
  /** What the client said of resources that it refused. */
  readonly nacks: string[] = [];
  readonly acked = new Set<string>();
  #nonce = 0;

  constructor(set: ServedSet) {
    this.#set = set;
    this.#server.addService(ADS_SERVICE, {
      deltaAggregatedResources: (stream: ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>) => {
        stream.on('data', (request: DeltaDiscoveryRequest) => this.#receive(request, stream));
        stream.on('error', () => undefined);
        stream.on('end', () => stream.end());
      },
    });
  }

  /** The port on loopback. */
  listen(): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
    return promise;
  }

  /** When the client has accepted, or refused, something of this type. */
  async answered(type: ResourceType): Promise<void> {
    if (this.acked.has(type)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ type, resolve });
    await promise;
  }

  close(): void {
    this.#server.forceShutdown();
  }

  #receive(
    request: DeltaDiscoveryRequest,
    stream: ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>,
  ): void {
    const type = request.typeUrl as ResourceType;
    if (request.responseNonce !== '') {
      if (request.errorDetail === undefined) this.acked.add(type);
      else this.nacks.push(`${type}: ${request.errorDetail.message}`);
      for (const waiting of this.#waiting) if (waiting.type === type) waiting.resolve();
    }
    const asked = request.resourceNamesSubscribe;
    const first = request.responseNonce === '' && asked.length === 0;
    if (asked.length === 0 && !first) return;
    const names = first || asked.includes('*') ? this.#set.names(type) : asked;
    const found = names.map((name) => ({ name, made: this.#set.resource(type, name) }));
    const resources = found.flatMap(({ name, made }) =>
      made === null
        ? []
        : [{ name, version: made.version, resource: { typeUrl: type, value: Buffer.from(made.message) } }],
    );
    const removedResources = found.filter(({ made }) => made === null).map(({ name }) => name);
    const nonce = String(++this.#nonce);
    stream.write(DeltaDiscoveryResponse.fromPartial({ typeUrl: type, nonce, resources, removedResources }));
  }
}
