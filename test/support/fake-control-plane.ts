/**
 * A real gRPC server with TLS that speaks delta ADS and signs certificates, and does as a test tells it.
 * Records every request; knows ack and nack, versions and subscriptions, but no mesh.
 */
import {
  Server,
  ServerCredentials,
  status,
  type ServerDuplexStream,
  type ServiceError,
  type sendUnaryData,
} from '@grpc/grpc-js';
import {
  DeltaDiscoveryResponse,
  type DeltaDiscoveryRequest,
} from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import { IstioCertificateResponse, type IstioCertificateRequest } from '#api/generated/istio/v1/auth/ca.ts';
import type { Clock } from '#base/clock.ts';
import { systemClock } from '#base/clock.ts';
import { Authority, createIssuer, createRoot } from '../../control-plane/identity/authority.ts';
import { ADS_SERVICE, CERTIFICATE_SERVICE } from './grpc-services.ts';

type Stream = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

interface Stored {
  readonly version: string;
  readonly bytes: Buffer;
}

export const TRUST_DOMAIN = 'cluster.local';

/** An authority of one test. */
export function testAuthority(clock: Clock, maxLeafMs = 86_400_000): Authority {
  const root = createRoot(TRUST_DOMAIN, clock.wall());
  const issuer = createIssuer(root, TRUST_DOMAIN, clock.wall());
  return new Authority({ root, issuer, extraRoots: [] }, { trustDomain: TRUST_DOMAIN, maxLeafMs, clock });
}

export class FakeControlPlane {
  readonly authority = testAuthority(systemClock);
  /** Every request of every stream, in order. */
  readonly requests: DeltaDiscoveryRequest[] = [];
  /** `authorization` of each stream and call. */
  readonly tokens: string[] = [];
  /** Identity that is signed, whatever the caller says. */
  identity = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;
  port = 0;
  #server = new Server();
  readonly #resources = new Map<string, Map<string, Stored>>();
  readonly #streams = new Map<Stream, Map<string, Set<string>>>();
  readonly #waiting = new Set<() => void>();
  #nonce = 0;

  static async start(): Promise<FakeControlPlane> {
    const controlPlane = new FakeControlPlane();
    await controlPlane.listen();
    return controlPlane;
  }

  /** Opens the port, the same one as before after `stop`. */
  async listen(): Promise<void> {
    this.#server = new Server();
    this.#server.addService(ADS_SERVICE, {
      deltaAggregatedResources: (stream: Stream) => this.#serve(stream),
      streamAggregatedResources: (stream: Stream) => stream.end(),
    });
    this.#server.addService(CERTIFICATE_SERVICE, {
      createCertificate: (
        call: { request: IstioCertificateRequest; metadata: { get(name: string): unknown[] } },
        done: sendUnaryData<IstioCertificateResponse>,
      ) => this.#sign(call, done),
    });
    const { keyPem, chainPem } = this.authority.issueServer(['localhost'], ['127.0.0.1'], 3_600_000);
    const pair = { private_key: Buffer.from(keyPem), cert_chain: Buffer.from(chainPem) };
    const credentials = ServerCredentials.createSsl(null, [pair]);
    this.port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${this.port}`, credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }

  /** Ends every stream and closes the port. */
  stop(): void {
    this.#server.forceShutdown();
    this.#streams.clear();
  }

  /** Puts a resource in place and pushes it to those who want it. */
  set(typeUrl: string, name: string, bytes: Buffer, version: string): void {
    this.#ofType(typeUrl).set(name, { bytes, version });
    for (const [stream, names] of this.#streams) {
      if (names.get(typeUrl)?.has(name) === true) this.#answer(stream, typeUrl, [name], {});
    }
  }

  remove(typeUrl: string, name: string): void {
    this.#ofType(typeUrl).delete(name);
    for (const [stream, names] of this.#streams) {
      if (names.get(typeUrl)?.has(name) === true) this.#answer(stream, typeUrl, [name], {});
    }
  }

  /** Several resources of one type in one response, whether wanted or not. */
  push(typeUrl: string, resources: Readonly<Record<string, Stored>>): void {
    for (const [name, stored] of Object.entries(resources)) this.#ofType(typeUrl).set(name, stored);
    for (const stream of this.#streams.keys()) this.#answer(stream, typeUrl, Object.keys(resources), {});
  }

  /** Breaks every open stream. */
  dropStreams(): void {
    for (const stream of this.#streams.keys()) {
      stream.emit('error', Object.assign(new Error('dropped by the test'), { code: status.UNAVAILABLE }));
    }
    this.#streams.clear();
  }

  /** The first recorded request that fits, now or later. */
  async request(fits: (request: DeltaDiscoveryRequest) => boolean): Promise<DeltaDiscoveryRequest> {
    for (;;) {
      const found = this.requests.find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  readonly readFile = (path: string): Promise<string> =>
    path === 'ca' ? Promise.resolve(this.authority.trustBundle) : Promise.resolve(`token-of-${path}\n`);

  /** For `ControlPlaneAddress`. */
  get address() {
    return { address: '127.0.0.1', port: this.port, serverName: 'localhost', caFile: 'ca', tokenFile: 'token' };
  }

  #ofType(typeUrl: string): Map<string, Stored> {
    const known = this.#resources.get(typeUrl) ?? new Map<string, Stored>();
    this.#resources.set(typeUrl, known);
    return known;
  }

  #serve(stream: Stream): void {
    const names = new Map<string, Set<string>>();
    this.#streams.set(stream, names);
    this.tokens.push(String(stream.metadata.get('authorization')[0]));
    stream.on('error', () => this.#streams.delete(stream));
    stream.on('end', () => {
      this.#streams.delete(stream);
      stream.end();
    });
    stream.on('data', (request: DeltaDiscoveryRequest) => {
      this.requests.push(request);
      const wanted = names.get(request.typeUrl) ?? new Set<string>();
      names.set(request.typeUrl, wanted);
      for (const name of request.resourceNamesSubscribe) wanted.add(name);
      for (const name of request.resourceNamesUnsubscribe) wanted.delete(name);
      this.#answer(stream, request.typeUrl, request.resourceNamesSubscribe, request.initialResourceVersions);
      for (const wake of this.#waiting) wake();
      this.#waiting.clear();
    });
  }

  /** What is known of `names`, left out where the client has that version. */
  #answer(stream: Stream, typeUrl: string, names: readonly string[], known: Readonly<Record<string, string>>): void {
    const stored = this.#ofType(typeUrl);
    const resources = names.flatMap((name) => {
      const found = stored.get(name);
      if (found === undefined || known[name] === found.version) return [];
      return [{ name, version: found.version, resource: { typeUrl, value: found.bytes } }];
    });
    const removedResources = names.filter((name) => !stored.has(name));
    if (resources.length + removedResources.length === 0) return;
    const nonce = String(++this.#nonce);
    stream.write(DeltaDiscoveryResponse.fromPartial({ typeUrl, resources, removedResources, nonce }));
  }

  #sign(
    call: { request: IstioCertificateRequest; metadata: { get(name: string): unknown[] } },
    done: sendUnaryData<IstioCertificateResponse>,
  ): void {
    this.tokens.push(String(call.metadata.get('authorization')[0]));
    const { csr, validityDuration } = call.request;
    const issued = this.authority.issueWorkload(csr, this.identity, Number(validityDuration) * 1000);
    if (issued.ok) {
      done(null, IstioCertificateResponse.fromPartial({ certChain: [...issued.value.chain] }));
      return;
    }
    const error: Partial<ServiceError> = { code: status.PERMISSION_DENIED, details: issued.error };
    done(error);
  }
}
