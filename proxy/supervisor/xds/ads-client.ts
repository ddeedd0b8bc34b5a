/**
 * One delta ADS stream to the control plane, kept open: reconnects with jittered back-off and tells the server what we have already.
 * Carries requests and responses; knows neither what resources mean nor what becomes of them. What was received stays in force meanwhile.
 */
import { connectivityState, type ClientDuplexStream } from '@grpc/grpc-js';
import type { Node } from '#api/generated/envoy/config/core/v3/core.ts';
import {
  AggregatedDiscoveryServiceClient,
  DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import { TYPE_ORDER, type ResourceType } from '#api/names.ts';
import { reconnectMs, type BackoffBounds } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { Watched } from '#base/watched.ts';
import { openChannel, type ControlPlaneAddress, type ReadFile } from './channel.ts';
import type { Subscription } from './subscription.ts';

export const RECONNECT: BackoffBounds = { baseMs: 100, maxMs: 30_000 };
/** For name resolution, TCP and TLS together. */
const CONNECT_DEADLINE_MS = 10_000;
const PROBE_MS = 50;
/** A stream that held this long was a good one: the next back-off starts anew. */
const HEALTHY_STREAM_MS = 30_000;
/** gRPC `INVALID_ARGUMENT`: what Envoy puts into a NACK. */
const NACK_CODE = 3;

type Stream = ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export interface AdsOptions {
  readonly controlPlane: ControlPlaneAddress;
  readonly node: Node;
  readonly subscriptions: ReadonlyMap<ResourceType, Subscription>;
  /** Applies a response; what is wrong with it, or empty to acknowledge. */
  readonly onResponse: (type: ResourceType, response: DeltaDiscoveryResponse) => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly readFile: ReadFile;
}

export class AdsClient {
  /** Whether a stream is open. */
  readonly connected = new Watched(false);
  readonly #options: AdsOptions;
  #client: AggregatedDiscoveryServiceClient | null = null;
  #stream: Stream | null = null;
  #openedMs = 0;
  #failures = 0;
  #retry: Timer | null = null;
  /** Looks whether the connection is up; a server that has nothing to tell sends nothing. */
  #probe: Timer | null = null;
  #isClosed = false;
  #saidNode = false;
  #flushIsDue = false;

  constructor(options: AdsOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#connect();
  }

  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#drop();
  }

  /** Sends what changed in the subscriptions, all changes of this turn of the event loop together. */
  flush(): void {
    if (this.#flushIsDue || this.#stream === null) return;
    this.#flushIsDue = true;
    queueMicrotask(() => {
      this.#flushIsDue = false;
      this.#sendDemand();
    });
  }

  async #connect(): Promise<void> {
    try {
      const { controlPlane, readFile, subscriptions } = this.#options;
      const { target, credentials, options, metadata } = await openChannel(controlPlane, readFile);
      if (this.#isClosed) return;
      const client = new AggregatedDiscoveryServiceClient(target, credentials, options);
      this.#client = client;
      for (const subscription of subscriptions.values()) subscription.restart();
      this.#open(client, client.deltaAggregatedResources(metadata));
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  /** A call fails by itself, with the reason, when no connection can be made; the deadline is for one that never answers. */
  #open(client: AggregatedDiscoveryServiceClient, stream: Stream): void {
    this.#stream = stream;
    this.#saidNode = false;
    this.#openedMs = this.#options.clock.now();
    const ended = (reason: string): void => {
      if (this.#stream === stream) this.#failed(reason);
    };
    stream.on('data', (response: DeltaDiscoveryResponse) => {
      if (this.#stream === stream) this.#receive(response);
    });
    // An error may be followed by an end and by further errors of the same stream: only the first counts.
    stream.on('error', (error: Error) => ended(error.message));
    stream.on('end', () => ended('the control plane ended the stream'));
    this.#probe = this.#options.clock.every(PROBE_MS, () => {
      if (client.getChannel().getConnectivityState(false) === connectivityState.READY) this.#opened();
      else if (this.#options.clock.now() - this.#openedMs > CONNECT_DEADLINE_MS) ended('no connection in time');
    });
    this.#sendDemand();
  }

  #opened(): void {
    this.#probe?.cancel();
    if (this.connected.value) return;
    this.#options.log.info('connected to the control plane');
    this.connected.set(true);
  }

  #failed(reason: string): void {
    if (this.#isClosed) return;
    const { clock, random, log } = this.#options;
    if (this.#stream !== null && clock.now() - this.#openedMs >= HEALTHY_STREAM_MS) this.#failures = 0;
    this.#drop();
    const delayMs = reconnectMs(RECONNECT, this.#failures++, random);
    log.warn('no connection to the control plane', { reason, retryMs: Math.round(delayMs) });
    this.#retry = clock.after(delayMs, () => void this.#connect());
  }

  #drop(): void {
    this.#probe?.cancel();
    const stream = this.#stream;
    this.#stream = null;
    stream?.cancel();
    this.#client?.close();
    this.#client = null;
    this.connected.set(false);
  }

  #receive(response: DeltaDiscoveryResponse): void {
    const type = TYPE_ORDER.find((t) => t === response.typeUrl);
    if (type === undefined) {
      this.#options.log.warn('response of a type that was not asked for', { type: response.typeUrl });
      return;
    }
    this.#opened();
    this.#failures = 0;
    const problems = this.#options.onResponse(type, response);
    if (problems !== '') this.#options.log.warn('refused resources of the control plane', { type, problems });
    this.#send({
      typeUrl: type,
      responseNonce: response.nonce,
      errorDetail: problems === '' ? undefined : { code: NACK_CODE, message: problems },
    });
    this.#sendDemand();
  }

  #sendDemand(): void {
    if (this.#stream === null) return;
    for (const [typeUrl, subscription] of this.#options.subscriptions) {
      const request = subscription.takeRequest();
      if (request === null) continue;
      this.#send({
        typeUrl,
        resourceNamesSubscribe: [...request.subscribe],
        resourceNamesUnsubscribe: [...request.unsubscribe],
        initialResourceVersions: request.initialVersions,
      });
    }
  }

  /** The node goes with the first request of a stream only (xDS protocol, "ACK/NACK and versioning"). */
  #send(request: Partial<DeltaDiscoveryRequest>): void {
    const node = this.#saidNode ? undefined : this.#options.node;
    this.#saidNode = true;
    this.#stream?.write({ ...DeltaDiscoveryRequest.fromPartial({}), ...request, node });
  }
}
