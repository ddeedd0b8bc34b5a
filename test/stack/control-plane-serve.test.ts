/**
 * The gRPC port with real sockets and real TLS: who gets in, what is said in which order, what one client can do to others.
 */
import { Metadata, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { X509Certificate, randomBytes } from 'node:crypto';
import t from 'tap';
import { DeltaDiscoveryRequest } from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import type { IstioCertificateResponse } from '#api/generated/istio/v1/auth/ca.ts';
import { TYPE } from '#api/names.ts';
import { systemClock } from '#base/clock.ts';
import { FolderTokens } from '../../control-plane/identity/tokens.ts';
import { MAX_IN_FLIGHT } from '../../control-plane/serve/subscription.ts';
import { CertificateClient } from '../support/grpc-services.ts';
import { CHANNEL_OPTIONS, channelOf, credentialsOf, metadataOf } from '../support/ads-client.ts';
import type { Proof } from '../support/ads-client.ts';
import { DEFECT } from '../support/fake-provider.ts';
import { FORGED_ID, ecKey, signingRequest } from '../support/signing-request.ts';
import { CART, CART_ID, NODE, SLOW, newAuthority, leaf, playedServer } from '../support/played-server.ts';

/** A codec for messages that are bytes already. */
function bytes(buffer: Buffer): Buffer {
  return buffer;
}

function requestCertificate(
  address: string,
  proof: Proof,
  csr: string,
  validityDuration = 0n,
): Promise<IstioCertificateResponse | ServiceError> {
  const client = new CertificateClient(address, credentialsOf(proof), CHANNEL_OPTIONS);
  return new Promise((resolve) => {
    client.createCertificate({ csr, validityDuration }, metadataOf(proof), (error, response) => {
      client.close();
      resolve(error ?? response);
    });
  });
}

t.test('only a caller that proves who it is gets in', async (t) => {
  const { delta, authority, tokens, proof, events } = await playedServer(t);
  const ca = authority.trustBundle;
  const other = newAuthority();
  const foreign = newAuthority('other.domain');
  const good: Proof[] = [proof, { ca, ...leaf(authority, CART_ID) }];
  const bad: Proof[] = [
    { ca },
    { ca, token: 'x.y.z' },
    { ca, token: new FolderTokens(randomBytes(32), systemClock).issue(CART, 60_000) },
    { ca, token: tokens.issue(CART, -1000) },
    { ca, token: 'x.y.z', ...leaf(authority, CART_ID) },
    { ca, ...leaf(other, CART_ID) },
    { ca, ...leaf(foreign, 'spiffe://other.domain/ns/shop/sa/cart') },
    { ca, ...leaf(authority, 'spiffe://cluster.local/something/else') },
  ];
  for (const by of good) {
    const stream = delta(by);
    stream.subscribe(TYPE.cluster, 'none');
    t.equal(await stream.said(), 'cluster: -none');
  }
  for (const by of bad) {
    const stream = delta(by);
    stream.subscribe(TYPE.cluster, 'none');
    t.equal((await stream.ended).code, status.UNAUTHENTICATED);
  }
  t.equal(events.filter((event) => event.startsWith('refused')).length, bad.length);
});

t.test('a node that does not agree with the proof is sent away', async (t) => {
  const { delta } = await playedServer(t);
  const ids = ['sidecar~cart-1~bank', 'sidecar~cart-2~shop', 'sidecar~cart-1', 'sidecar~cart-1~shop~x', ''];
  for (const id of ids) {
    const stream = delta(undefined, { ...NODE, id });
    stream.subscribe(TYPE.cluster, 'a');
    t.equal((await stream.ended).code, status.PERMISSION_DENIED, id);
  }
});

t.test('what is referred to comes first and goes last, each change once', async (t) => {
  const { delta, provider, change, clients } = await playedServer(t);
  for (const type of Object.values(TYPE)) provider.set(type, 'a', 1);
  const stream = delta();
  // One write for all, so that they arrive together.
  for (const type of [TYPE.listener, TYPE.route, TYPE.endpoints, TYPE.cluster, TYPE.secret])
    stream.subscribe(type, 'a');
  const first = [];
  for (let i = 0; i < 5; i++) {
    first.push(await stream.said());
    stream.answer();
  }
  t.same(first.toSorted(), ['cluster: a', 'endpoints: a', 'listener: a', 'route: a', 'secret: a']);
  for (const type of [TYPE.listener, TYPE.cluster, TYPE.endpoints]) provider.set(type, 'a', 2);
  clients.wakeAll();
  t.same(
    [await stream.said(), await stream.said(), await stream.said()],
    ['cluster: a', 'endpoints: a', 'listener: a'],
  );
  for (const type of Object.values(TYPE)) provider.set(type, 'a', 0);
  clients.wakeAll();
  const last = [];
  for (let i = 0; i < 5; i++) last.push(await stream.said());
  t.same(last, ['listener: -a', 'route: -a', 'endpoints: -a', 'cluster: -a', 'secret: -a']);
  clients.wakeAll();
  change(TYPE.cluster, 'a', 3);
  t.equal(await stream.said(), 'cluster: a', 'and nothing in between');
});

t.test('nothing goes before what still refers to it is told, however late the client answers', async (t) => {
  const { delta, provider, change, clients } = await playedServer(t);
  for (const type of [TYPE.route, TYPE.cluster]) provider.set(type, 'a', 1);
  const stream = delta();
  stream.subscribe(TYPE.cluster, 'a');
  await stream.said();
  stream.answer();
  stream.subscribe(TYPE.route, 'a');
  await stream.said();
  for (let version = 2; version <= MAX_IN_FLIGHT; version++) {
    change(TYPE.route, 'a', version);
    await stream.said();
  }
  provider.set(TYPE.route, 'a', 100);
  provider.set(TYPE.cluster, 'a', 0);
  clients.wakeAll();
  stream.answer();
  t.equal(await stream.said(), 'route: a');
  stream.answer();
  t.equal(await stream.said(), 'cluster: -a');
});

t.test('a client that comes back with its versions is told nothing but the news', async (t) => {
  const { delta, provider } = await playedServer(t);
  for (const name of ['a', 'b']) provider.set(TYPE.cluster, name, 1);
  const before = delta();
  before.subscribe(TYPE.cluster, 'a', 'b');
  await before.said();
  const initialResourceVersions = Object.fromEntries(before.last?.resources.map((r) => [r.name, r.version]) ?? []);
  before.close();
  provider.set(TYPE.cluster, 'b', 2);
  const after = delta();
  after.ask(TYPE.cluster, { resourceNamesSubscribe: ['a', 'b'], initialResourceVersions });
  t.equal(await after.said(), 'cluster: b');
});

t.test('a nack is booked, and neither holds up nor reaches anybody else', async (t) => {
  const { delta, change, events, clients } = await playedServer(t);
  change(TYPE.cluster, 'a', 1);
  const [angry, content] = [delta(), delta()];
  for (const stream of [angry, content]) {
    stream.subscribe(TYPE.cluster, 'a', 'b');
    await stream.said();
  }
  content.answer();
  angry.answer('no such filter');
  change(TYPE.cluster, 'b', 1);
  t.same([await angry.said(), await content.said()], ['cluster: b', 'cluster: b']);
  t.same(
    events.filter((event) => event.startsWith('nack')),
    [`nack ${NODE.id} a: no such filter`],
  );
  const held = clients.views().map((view) => view.subscriptions[0]?.held.find(({ name }) => name === 'a'));
  t.same(held, [
    { name: 'a', sent: null, acked: null, nacked: 'v1' },
    { name: 'a', sent: 'v1', acked: 'v1', nacked: null },
  ]);
});

t.test('a client that does not read costs one response and keeps nobody waiting', async (t) => {
  const { address, proof, delta, provider, change, clients } = await playedServer(t);
  const big = Buffer.alloc(500_000);
  for (let i = 0; i < 20; i++) provider.set(TYPE.cluster, `big-${i}`, 1, big);
  const channel = channelOf(address, proof);
  const deaf = channel.deltaAggregatedResources(metadataOf(proof));
  t.teardown(() => {
    deaf.cancel();
    channel.close();
  });
  deaf.on('error', () => undefined);
  deaf.pause();
  deaf.write(DeltaDiscoveryRequest.fromPartial({ node: { id: 'envoy-1' }, typeUrl: TYPE.cluster }));
  const quick = delta();
  quick.subscribe(TYPE.cluster, 'a');
  await quick.said();
  for (let version = 1; version <= 20; version++) {
    change(TYPE.cluster, 'a', version);
    t.equal(await quick.said(), 'cluster: a');
    quick.answer();
  }
  t.equal(clients.pending, 1, 'the push to the deaf one is still on its way');
});

t.test('a bad message ends its stream alone', async (t) => {
  const { address, proof, delta, change } = await playedServer(t);
  const good = delta();
  good.subscribe(TYPE.cluster, 'a');
  await good.said();
  const channel = channelOf(address, proof);
  t.teardown(() => channel.close());
  const send = (message: Buffer): Promise<number> =>
    new Promise((resolve) => {
      const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
      const stream = channel.makeBidiStreamRequest(path, bytes, bytes, metadataOf(proof), {});
      stream.on('error', (error: ServiceError) => resolve(error.code));
      stream.on('data', () => undefined);
      stream.write(message);
    });
  t.same(
    [
      await send(Buffer.from('ffffffff', 'hex')),
      await send(Buffer.from(DeltaDiscoveryRequest.encode(DeltaDiscoveryRequest.fromPartial({})).finish())),
      await send(Buffer.alloc(5_000_000)),
    ],
    [status.INVALID_ARGUMENT, status.PERMISSION_DENIED, status.RESOURCE_EXHAUSTED],
  );
  change(TYPE.cluster, 'a', 1);
  t.equal(await good.said(), 'cluster: a');
});

t.test('a resource that cannot be made costs who follows it the stream, and nobody else', async (t) => {
  const { delta, change, events } = await playedServer(t);
  const [good, unlucky] = [delta(), delta()];
  good.subscribe(TYPE.cluster, 'a');
  await good.said();
  unlucky.subscribe(TYPE.cluster, DEFECT);
  t.equal((await unlucky.ended).code, status.INTERNAL);
  change(TYPE.cluster, 'a', 1);
  t.equal(await good.said(), 'cluster: a');
  t.ok(events.includes(`failed ${NODE.id}: Error: cannot be made`));
});

t.test('there is room for a bounded number of clients', async (t) => {
  const { delta, events } = await playedServer(t, 1);
  const first = delta();
  first.subscribe(TYPE.cluster, 'a');
  await first.said();
  const second = delta();
  second.subscribe(TYPE.cluster, 'a');
  t.equal((await second.ended).code, status.RESOURCE_EXHAUSTED);
  t.same(events, [`+ ${NODE.id}`, 'refused: there are too many clients']);
});

t.test('who leaves while its proof is looked at takes no room', async (t) => {
  const { address, proof, clients, finishSlowProof } = await playedServer(t);
  const channel = channelOf(address, proof);
  t.teardown(() => channel.close());
  const metadata = metadataOf(proof);
  metadata.set(SLOW, '1');
  const gone = channel.deltaAggregatedResources(metadata);
  const ended = new Promise((resolve) => gone.on('error', resolve));
  gone.write(DeltaDiscoveryRequest.fromPartial({ node: NODE, typeUrl: TYPE.cluster }));
  const next = async (): Promise<void> => {
    const stream = channel.deltaAggregatedResources(metadataOf(proof));
    stream.on('error', () => undefined);
    stream.write(DeltaDiscoveryRequest.fromPartial({ node: NODE, typeUrl: TYPE.cluster }));
    await new Promise((resolve) => stream.once('data', resolve));
  };
  // What comes later on the same connection shows that the server has met what came before.
  await next();
  gone.cancel();
  await ended;
  await next();
  finishSlowProof();
  await next();
  t.equal(clients.size, 3);
});

t.test('state of the world: all clusters, endpoints by name and again when their cluster warms', async (t) => {
  const { sotw, change } = await playedServer(t);
  for (const type of [TYPE.cluster, TYPE.endpoints]) for (const name of ['a', 'b']) change(type, name, 1);
  const stream = sotw(undefined, { id: 'envoy-1', userAgentName: 'envoy' });
  stream.ask(TYPE.cluster, {});
  t.equal(await stream.said(), 'cluster: a v1 b v1');
  stream.answer();
  stream.ask(TYPE.endpoints, { resourceNames: ['a', 'b'] });
  t.equal(await stream.said(), 'endpoints: a v1 b v1');
  stream.answer(['a', 'b']);
  change(TYPE.endpoints, 'a', 2);
  t.equal(await stream.said(), 'endpoints: a v2');
  stream.answer(['a', 'b']);
  change(TYPE.cluster, 'b', 2);
  t.equal(await stream.said(), 'cluster: a v1 b v2');
  stream.answer();
  t.equal(await stream.said(), 'endpoints: b v1');
});

t.test('a certificate says who the caller is, not what its request says', async (t) => {
  const { address, authority, proof, events } = await playedServer(t);
  const ca = authority.trustBundle;
  const csr = signingRequest({ uri: FORGED_ID });
  const issued = await requestCertificate(address, proof, csr, 3600n);
  if (!('certChain' in issued)) throw issued;
  const certificate = new X509Certificate(issued.certChain[0] ?? '');
  t.equal(certificate.subjectAltName, `URI:${CART_ID}`);
  t.ok(certificate.validToDate.getTime() - systemClock.wall() <= 3_600_000);
  const again = await requestCertificate(address, { ca, ...leaf(authority, CART_ID) }, csr);
  t.ok('certChain' in again, 'a certificate of the mesh is a proof too');
  const refusals = [
    await requestCertificate(address, { ca }, csr),
    await requestCertificate(address, proof, signingRequest({ signer: ecKey() })),
    await requestCertificate(address, proof, 'x'.repeat(20_000)),
  ];
  t.same(
    refusals.map((refusal) => ('code' in refusal ? refusal.code : 'issued')),
    [status.UNAUTHENTICATED, status.INVALID_ARGUMENT, status.INVALID_ARGUMENT],
  );
  t.equal(events.length, 3);
});

t.test('a path without slash reaches nothing', async (t) => {
  const { address, proof } = await playedServer(t);
  const channel = channelOf(address, proof);
  t.teardown(() => channel.close());
  const path = 'istio.v1.auth.IstioCertificateService/CreateCertificate';
  const code = await new Promise((resolve) => {
    channel.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), new Metadata(), (error) => resolve(error?.code));
  });
  t.not(code, status.OK);
});
