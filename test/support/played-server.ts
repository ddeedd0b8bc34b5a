/**
 * The gRPC port of a control plane whose resources a test sets, with an authority of its own, and clients of either protocol.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers';
import { systemClock } from '#base/clock.ts';
import { Authority, createIssuer, createRoot } from '../../control-plane/identity/authority.ts';
import { FolderTokens } from '../../control-plane/identity/tokens.ts';
import { proofOfIdentity } from '../../control-plane/serve/authentication.ts';
import type { Authentication } from '../../control-plane/serve/authentication.ts';
import { Clients } from '../../control-plane/serve/clients.ts';
import { OptionalClientCertificate } from '../../control-plane/serve/credentials.ts';
import type { ServeObserver } from '../../control-plane/serve/observer.ts';
import { DEFAULT_KEEP_ALIVE, serve } from '../../control-plane/serve/server.ts';
import { DeltaStream, SotwStream } from './ads-client.ts';
import type { Proof } from './ads-client.ts';
import { FakeProvider } from './fake-provider.ts';
import { ecKey, signingRequest } from './signing-request.ts';

const DAY_MS = 86_400_000;
export const CART = { namespace: 'shop', serviceAccount: 'cart', pod: 'cart-1' };
export const CART_ID = 'spiffe://cluster.local/ns/shop/sa/cart';
export const NODE = { id: 'sidecar~cart-1~shop', userAgentName: 'tulle' };

export function newAuthority(trustDomain = 'cluster.local'): Authority {
  const wall = systemClock.wall();
  const root = createRoot(trustDomain, wall);
  const issuer = createIssuer(root, trustDomain, wall);
  const options = { trustDomain, maxLeafMs: DAY_MS, clock: systemClock };
  return new Authority({ root, issuer, extraRoots: [] }, options);
}

/** A key with a certificate of `authority` for `identity`. */
export function leaf(authority: Authority, identity: string): { key: string; chain: string } {
  const key = ecKey();
  const issued = authority.issueWorkload(signingRequest({ key }), identity, 0);
  if (!issued.ok) throw new Error(issued.error);
  return { key: key.export({ type: 'pkcs8', format: 'pem' }), chain: issued.value.chain.slice(0, 2).join('') };
}

/** What a test hands over so that things are closed at its end. */
interface Closes {
  teardown(close: () => unknown): unknown;
}

/** Metadata of a caller whose proof takes until the test says so. */
export const SLOW = 'x-slow-proof';

export async function playedServer(t: Closes, limit = 100, keepAlive = DEFAULT_KEEP_ALIVE, handshakeMs = 10_000) {
  const authority = newAuthority();
  const server = authority.issueServer(['localhost'], ['127.0.0.1'], DAY_MS);
  const credentials = new OptionalClientCertificate({ ...server, trustPem: authority.trustBundle }, handshakeMs);
  const tokens = new FolderTokens(randomBytes(32), systemClock);
  const clients = new Clients(limit, (run) => void setImmediate(run));
  const provider = new FakeProvider();
  const events: string[] = [];
  const observer: ServeObserver = {
    connected: (client) => events.push(`+ ${client}`),
    disconnected: (client, reason) => events.push(`- ${client} ${reason}`),
    pushed: () => undefined,
    acked: () => undefined,
    nacked: (client, _type, reason, names) => events.push(`nack ${client} ${names.join(',')}: ${reason}`),
    failed: (client, error) => events.push(`failed ${client}: ${String(error)}`),
    refused: (_peer, reason) => events.push(`refused: ${reason}`),
  };
  const quick = proofOfIdentity(tokens, 'cluster.local');
  const slow = Promise.withResolvers<void>();
  const authentication: Authentication = {
    async identify(metadata, certificate) {
      if (metadata.get(SLOW).length > 0) await slow.promise;
      return quick.identify(metadata, certificate);
    },
  };
  const serving = await serve('127.0.0.1:0', credentials, {
    provider,
    clients,
    authentication,
    authority,
    observer,
    clock: systemClock,
    keepAlive,
  });
  t.teardown(() => serving.close());
  const proof: Proof = { ca: authority.trustBundle, token: tokens.issue(CART, 60_000) };
  const open = <T extends { close(): void }>(stream: T): T => {
    t.teardown(() => stream.close());
    return stream;
  };
  return {
    authority,
    tokens,
    clients,
    provider,
    events,
    proof,
    finishSlowProof: slow.resolve,
    address: serving.address,
    change: (type: Parameters<FakeProvider['set']>[0], name: string, version: number): void => {
      provider.set(type, name, version);
      clients.wakeAll();
    },
    delta: (by: Proof = proof, node = NODE) => open(new DeltaStream(serving.address, by, node)),
    sotw: (by: Proof = proof, node = NODE) => open(new SotwStream(serving.address, by, node)),
  };
}
