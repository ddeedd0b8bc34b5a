/**
 * The gRPC port: aggregated discovery in both variants, and certificates. Everything that grpc-js wants stands here.
 * Knows no mesh: resources come from a ResourceProvider, identities from an Authentication.
 */
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { Metadata, ServerDuplexStream, ServerUnaryCall, ServiceDefinition, sendUnaryData } from '@grpc/grpc-js';
import { AggregatedDiscoveryServiceDefinition } from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import { IstioCertificateServiceDefinition } from '#api/generated/istio/v1/auth/ca.ts';
import type { Clock } from '#base/clock.ts';
import type { Authority } from '../identity/authority.ts';
import type { Caller } from '../identity/caller.ts';
import type { Authentication } from './authentication.ts';
import { createCertificate } from './certificates.ts';
import type { Clients } from './clients.ts';
import type { ServeObserver } from './observer.ts';
import { DELTA, SOTW } from './protocol.ts';
import type { Protocol } from './protocol.ts';
import type { ResourceProvider } from './provider.ts';
import { grpcService, type GenericDefinition } from './service.ts';
import { AdsStream } from './stream.ts';
import type { ClientStream, Transport } from './stream.ts';

const MAX_MESSAGE_BYTES = 4 * 1_048_576;
const STREAMS_PER_CONNECTION = 100;
/** A connection without a stream is closed after it. */
const IDLE_MS = 300_000;

/** How a client that says nothing is told from one that has nothing to say: it must answer PING. */
export interface KeepAlive {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** From the end of the TLS handshake (in cleartext: from the connection) on, silence lasts 40 s at most. */
export const DEFAULT_KEEP_ALIVE: KeepAlive = { intervalMs: 30_000, timeoutMs: 10_000 };

export interface ServeOptions {
  readonly provider: ResourceProvider;
  readonly clients: Clients;
  readonly authentication: Authentication;
  readonly authority: Authority;
  readonly observer: ServeObserver;
  readonly clock: Clock;
  readonly keepAlive: KeepAlive;
}

export interface Serving {
  readonly address: string;
  close(): Promise<void>;
}

type Call = ServerDuplexStream<Buffer, Buffer>;

/** Binds `address` (`host:port`, port 0 for any free one) and serves on it. Rejects when it cannot bind. */
export async function serve(address: string, credentials: ServerCredentials, options: ServeOptions): Promise<Serving> {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION,
    'grpc.keepalive_time_ms': options.keepAlive.intervalMs,
    'grpc.keepalive_timeout_ms': options.keepAlive.timeoutMs,
    'grpc.max_connection_idle_ms': IDLE_MS,
  });
  server.addService(inBytes(AggregatedDiscoveryServiceDefinition), {
    deltaAggregatedResources: (call: Call) => void openStream(call, DELTA, options),
    streamAggregatedResources: (call: Call) => void openStream(call, SOTW, options),
  });
  server.addService(inBytes(IstioCertificateServiceDefinition), {
    createCertificate: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) =>
      void answerCertificate(call, reply, options),
  });
  const port = await bind(server, address, credentials);
  return { address: address.replace(/:\d+$/, `:${port}`), close: () => shutDown(server) };
}

/** For loopback only: no TLS, so no proof of who calls. */
export function plaintextCredentials(): ServerCredentials {
  return ServerCredentials.createInsecure();
}

/** The service with messages left as bytes: nothing is parsed before the caller is known, and a bad message is ours to answer. */
function inBytes(definition: GenericDefinition): ServiceDefinition {
  const methods = Object.entries(grpcService(definition)).map(([name, method]) => [
    name,
    { ...method, requestDeserialize: asIs, responseSerialize: asIs },
  ]);
  return Object.fromEntries(methods) as ServiceDefinition;
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

function shutDown(server: Server): Promise<void> {
  // Streams never end by themselves, so there is nothing to wait for.
  return new Promise((resolve) => {
    server.tryShutdown(() => resolve());
    server.forceShutdown();
  });
}

async function callerOf(
  call: { readonly metadata: Metadata } & Pick<Call, 'getPeer' | 'getAuthContext'>,
  options: ServeOptions,
): Promise<Caller | null> {
  const certificate = call.getAuthContext().sslPeerCertificate?.raw ?? null;
  const caller = await options.authentication.identify(call.metadata, certificate);
  if (caller.ok) return caller.value;
  options.observer.refused(call.getPeer(), caller.error);
  return null;
}

async function openStream<Demand, Answer>(
  call: Call,
  protocol: Protocol<Demand, Answer>,
  options: ServeOptions,
): Promise<void> {
  const { provider, clients, observer, clock } = options;
  const caller = await callerOf(call, options);
  if (caller === null) {
    fail(call, status.UNAUTHENTICATED, 'the caller has not proven who it is');
    return;
  }
  let reason = '';
  const transport: Transport = {
    peer: call.getPeer(),
    write: (bytes, flushed) => void call.write(bytes, () => flushed()),
    end: (code, details) => {
      reason = details;
      fail(call, status[code], details);
      close();
    },
  };
  const wake = (): void => clients.wake(stream);
  const stream = new AdsStream({ protocol, transport, caller, provider, observer, clock, wake });
  const close = once(() => {
    stream.close();
    clients.remove(stream);
    observer.disconnected(stream.name, reason);
  });
  // Whoever left while its proof was looked at is told nothing, and no event would ever take it off the list.
  if (call.cancelled) return;
  if (!clients.add(stream satisfies ClientStream)) {
    observer.refused(transport.peer, 'there are too many clients');
    fail(call, status.RESOURCE_EXHAUSTED, 'too many clients');
    return;
  }
  call.on('data', (bytes: Buffer) => stream.receive(bytes));
  call.on('end', () => {
    call.end();
    close();
  });
  for (const event of ['cancelled', 'error', 'close']) call.on(event, close);
}

async function answerCertificate(
  call: ServerUnaryCall<Buffer, Buffer>,
  reply: sendUnaryData<Buffer>,
  options: ServeOptions,
): Promise<void> {
  const caller = await callerOf(call, options);
  if (caller === null) {
    reply({ code: status.UNAUTHENTICATED, details: 'the caller has not proven who it is' });
    return;
  }
  const response = createCertificate(options.authority, caller, call.request);
  if (response.ok) {
    reply(null, response.value);
    return;
  }
  options.observer.refused(call.getPeer(), response.error);
  reply({ code: status.INVALID_ARGUMENT, details: response.error });
}

/** grpc-js turns an `error` event with a code into the status of the call. */
function fail(call: Call, code: status, details: string): void {
  call.emit('error', { code, details });
}

function once(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    run();
  };
}
