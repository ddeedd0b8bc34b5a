/**
 * A client of the control plane for tests: one delta or state-of-the-world stream, driven message by message.
 * Acks nothing by itself unless told to.
 */
import { ChannelCredentials, Metadata } from '@grpc/grpc-js';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { DeltaDiscoveryRequest, DiscoveryRequest } from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import type { DeltaDiscoveryResponse, DiscoveryResponse } from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import { TYPE } from '#api/names.ts';
import { AdsClient, type AdsChannel } from './grpc-services.ts';

export interface Proof {
  /** PEM roots; null: plaintext. */
  readonly ca: Buffer | string | null;
  readonly token?: string;
  readonly key?: string;
  readonly chain?: string;
}

export interface NodeWords {
  readonly id: string;
  readonly userAgentName?: string;
}

const SHORT = new Map(Object.entries(TYPE).map(([name, url]) => [url as string, name]));

/** Node refuses an IP address as TLS server name, and grpc-js would set it. */
export const CHANNEL_OPTIONS = { 'grpc.ssl_target_name_override': 'localhost' };

export function channelOf(address: string, proof: Proof): AdsChannel {
  return new AdsClient(address, credentialsOf(proof), CHANNEL_OPTIONS);
}

export function credentialsOf({ ca, key, chain }: Proof): ChannelCredentials {
  if (ca === null) return ChannelCredentials.createInsecure();
  return ChannelCredentials.createSsl(Buffer.from(ca), asBuffer(key), asBuffer(chain));
}

function asBuffer(pem: string | undefined): Buffer | null {
  return pem === undefined ? null : Buffer.from(pem);
}

export function metadataOf({ token }: Proof): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

/** What arrives on a stream, waited for in order. */
class Inbox<T> {
  readonly #arrived: T[] = [];
  readonly #waiting: ((value: T) => void)[] = [];

  put(value: T): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#arrived.push(value);
    else waiting(value);
  }

  take(): Promise<T> {
    const value = this.#arrived.shift();
    return value === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(value);
  }
}

abstract class TestStream<Request, Response extends { typeUrl: string; nonce: string }> {
  readonly channel: AdsChannel;
  /** The status that ended the stream. */
  readonly ended: Promise<{ code: number; details: string }>;
  readonly inbox = new Inbox<Response>();
  protected readonly stream: ClientDuplexStream<Request, Response>;

  constructor(channel: AdsChannel, stream: ClientDuplexStream<Request, Response>) {
    this.channel = channel;
    this.stream = stream;
    stream.on('data', (response: Response) => this.inbox.put(response));
    this.ended = new Promise((resolve) => {
      stream.on('error', (error: ServiceError) => resolve({ code: error.code, details: error.details }));
      stream.on('end', () => resolve({ code: 0, details: '' }));
    });
  }

  close(): void {
    this.stream.cancel();
    this.channel.close();
  }

  /** The next response in short: `cluster: A -B`. */
  async said(): Promise<string> {
    const response = await this.inbox.take();
    this.last = response;
    return `${SHORT.get(response.typeUrl)}: ${this.words(response).join(' ')}`;
  }

  last: Response | null = null;
  protected abstract words(response: Response): readonly string[];
}

export class DeltaStream extends TestStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
  readonly #node: NodeWords;
  #isFirst = true;

  constructor(address: string, proof: Proof, node: NodeWords) {
    const channel = channelOf(address, proof);
    super(channel, channel.deltaAggregatedResources(metadataOf(proof)));
    this.#node = node;
  }

  ask(typeUrl: string, demand: Partial<DeltaDiscoveryRequest>): void {
    const node = this.#isFirst ? { ...this.#node } : undefined;
    this.#isFirst = false;
    this.stream.write(DeltaDiscoveryRequest.fromPartial({ node, typeUrl, ...demand }));
  }

  subscribe(typeUrl: string, ...resourceNamesSubscribe: string[]): void {
    this.ask(typeUrl, { resourceNamesSubscribe });
  }

  /** Acks what was taken last, or refuses it with a reason. */
  answer(reason?: string): void {
    if (this.last === null) throw new Error('nothing was said yet');
    const errorDetail = reason === undefined ? undefined : { code: 3, message: reason, details: [] };
    this.ask(this.last.typeUrl, { responseNonce: this.last.nonce, errorDetail });
  }

  protected words({ resources, removedResources }: DeltaDiscoveryResponse): readonly string[] {
    return [...resources.map(({ name }) => name), ...removedResources.map((name) => `-${name}`)];
  }
}

export class SotwStream extends TestStream<DiscoveryRequest, DiscoveryResponse> {
  readonly #node: NodeWords;
  #isFirst = true;

  constructor(address: string, proof: Proof, node: NodeWords) {
    const channel = channelOf(address, proof);
    super(channel, channel.streamAggregatedResources(metadataOf(proof)));
    this.#node = node;
  }

  ask(typeUrl: string, demand: Partial<DiscoveryRequest>): void {
    const node = this.#isFirst ? { ...this.#node } : undefined;
    this.#isFirst = false;
    this.stream.write(DiscoveryRequest.fromPartial({ node, typeUrl, ...demand }));
  }

  answer(resourceNames: string[] = []): void {
    if (this.last === null) throw new Error('nothing was said yet');
    const { typeUrl, nonce, versionInfo } = this.last;
    this.ask(typeUrl, { resourceNames, responseNonce: nonce, versionInfo });
  }

  protected words({ resources }: DiscoveryResponse): readonly string[] {
    return resources.map(({ value }) => value.toString());
  }
}
