/**
 * One delta ADS stream to the control plane, kept open: reconnects with jittered back-off and tells the server what we have already.
 * Carries requests and responses; knows neither what resources mean nor what becomes of them. What was received stays in force meanwhile.
 */
import type { Node } from '#api/generated/envoy/config/core/v3/core.ts';
import { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import { TYPE_ORDER, type ResourceType } from '#api/names.ts';
import { reconnectMs, type BackoffBounds } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { Watched } from '#base/watched.ts';
import { readAccess, type Access, type ControlPlaneAddress, type ReadFile } from '../rpc/access.ts';
import { Call } from '../rpc/call.ts';
import type { Subscription } from './subscription.ts';

export const RECONNECT: BackoffBounds = { baseMs: 100, maxMs: 30_000 };
const PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
/** A stream that held this long was a good one: the next back-off starts anew. */
const HEALTHY_STREAM_MS = 30_000;
/** gRPC `INVALID_ARGUMENT`: what Envoy puts into a NACK. */
const NACK_CODE = 3;

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
  #call: Call | null = null;
  #openedMs = 0;
  #failures = 0;
  #retry: Timer | null = null;
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
    if (this.#flushIsDue || this.#call === null) return;
    this.#flushIsDue = true;
    queueMicrotask(() => {
      this.#flushIsDue = false;
      this.#sendDemand();
    });
  }

  async #connect(): Promise<void> {
    try {
      const { controlPlane, readFile, clock } = this.#options;
      const access = await readAccess(controlPlane, readFile, clock);
      if (!this.#isClosed) this.#open(access);
    } catch (error) {
      this.#failed(textOf(error));
    }
  }

  #open(access: Access): void {
    for (const subscription of this.#options.subscriptions.values()) subscription.restart();
    this.#call = new Call(
      access,
      PATH,
      {
        onUp: () => this.#opened(),
        onMessage: (message) => this.#read(message),
        onOver: (failure) => this.#failed(failure === '' ? 'the control plane ended the stream' : failure),
      },
      this.#options.clock,
    );
    this.#saidNode = false;
    this.#openedMs = this.#options.clock.now();
    this.#sendDemand();
  }

  #opened(): void {
    if (this.connected.value) return;
    this.#options.log.info('connected to the control plane');
    this.connected.set(true);
  }

  #failed(reason: string): void {
    if (this.#isClosed) return;
    const { clock, random, log } = this.#options;
    if (this.#call !== null && clock.now() - this.#openedMs >= HEALTHY_STREAM_MS) this.#failures = 0;
    this.#drop();
    const delayMs = reconnectMs(RECONNECT, this.#failures++, random);
    log.warn('no connection to the control plane', { reason, retryMs: Math.round(delayMs) });
    this.#retry = clock.after(delayMs, () => void this.#connect());
  }

  #drop(): void {
    const call = this.#call;
    this.#call = null;
    call?.cancel();
    this.connected.set(false);
  }

  #read(message: Buffer): void {
    let response: DeltaDiscoveryResponse;
    try {
      response = DeltaDiscoveryResponse.decode(message);
    } catch (error) {
      this.#failed(`a response that is none: ${textOf(error)}`);
      return;
    }
    this.#receive(response);
  }

  #receive(response: DeltaDiscoveryResponse): void {
    const type = TYPE_ORDER.find((t) => t === response.typeUrl);
    if (type === undefined) {
      this.#options.log.warn('response of a type that was not asked for', { type: response.typeUrl });
      return;
    }
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
    if (this.#call === null) return;
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
    const whole = { ...DeltaDiscoveryRequest.fromPartial({}), ...request, node };
    this.#call?.send(DeltaDiscoveryRequest.encode(whole).finish());
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
