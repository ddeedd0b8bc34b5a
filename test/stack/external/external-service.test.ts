/**
 * ExternalServices through a real control plane and a real sidecar: by name, by port, with TLS begun on the way, over a DNS that a test owns.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect, createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import { systemClock } from '#base/clock.ts';
import type { WorkerSettings } from '../../../proxy/worker/messages.ts';
import { DnsServer, type DnsRecord } from '../../support/dns-server.ts';
import { testAuthority } from '../../support/fake-control-plane.ts';
import { startFolderMesh, type FolderMesh } from '../../support/folder-mesh.ts';
import { startFolderSidecar, type FolderSidecar } from '../../support/folder-sidecar.ts';
import { ask, askProxy, outsideHttp, outsideTls } from '../../support/outside.ts';
import { openWire } from '../../support/raw-http.ts';

const POD = { namespace: 'shop', name: 'web-1', owner: 'web', serviceAccount: 'web' };

interface Rig {
  readonly mesh: FolderMesh;
  readonly sidecar: FolderSidecar;
  readonly dns: DnsServer;
  readonly folder: string;
  get(url: string): ReturnType<typeof askProxy>;
}

async function rig(
  t: Test,
  manifest: string,
  records: Readonly<Record<string, DnsRecord>>,
  more: Partial<WorkerSettings> = {},
): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-external-'));
  const dns = await DnsServer.start(records);
  const mesh = await startFolderMesh(folder, { 'external.yaml': manifest });
  const bounds = { minTtlMs: 100, maxTtlMs: 60_000 };
  const sidecar = await startFolderSidecar(mesh, POD, {
    dns: { servers: [dns.address], hostsFile: '', ...bounds },
    ...more,
  });
  t.teardown(async () => {
    await sidecar.close();
    await mesh.close();
    dns.close();
    rmSync(folder, { recursive: true });
  });
  t.same(mesh.warnings, []);
  return { mesh, sidecar, dns, folder, get: (url) => askProxy(sidecar.port('outbound'), url) };
}

function external(name: string, spec: string): string {
  return `
apiVersion: tulle.dev/v1alpha1
kind: ExternalService
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
---`;
}

const port = (number: number, target: number, tls: string): string =>
  `{ number: ${number}, targetPort: ${target}, appProtocol: http, tls: ${tls} }`;

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

const REFUSE = `
apiVersion: tulle.dev/v1alpha1
kind: MeshPolicy
metadata: { name: default }
spec: { outbound: { unknownDestinations: Refuse } }
`;

const indented = (text: string): string => JSON.stringify(text);

t.setTimeout(60_000);

t.test('a host is resolved by the sidecar and asked by its own name', async (t) => {
  const app = await outsideHttp('a');
  t.teardown(() => app.close());
  const spec = `{ hosts: [api.example, "*.wild.example"], ports: [{ number: 80, targetPort: ${app.port}, appProtocol: http }] }`;
  const named = `api.example:80`;
  const r = await rig(
    t,
    external('api', spec),
    { 'api.example': { v4: ['127.0.0.1'], ttl: 60 }, 'a.b.wild.example': { v4: ['127.0.0.1'], ttl: 60 } },
    { explicitListens: [{ name: named, address: '127.0.0.1', port: 0 }] },
  );
  t.match(await r.get('http://api.example/x'), { status: 200, text: `a api.example:${app.port} - 127.0.0.1 /x` });
  t.match(await r.get('http://a.b.wild.example/y'), { text: `a a.b.wild.example:${app.port} - 127.0.0.1 /y` });
  t.match(
    await ask(r.sidecar.port(named), '/z', { host: `127.0.0.1:${r.sidecar.port(named)}` }),
    { text: `a api.example:${app.port} - 127.0.0.1 /z` },
    'a port that stands for it tells the server its name too',
  );
  t.equal(r.dns.questions.filter((q) => q === 'A api.example').length, 1, 'asked once within its TTL');
  t.equal(r.sidecar.metric('tulle_requests_total', 'destination_service="api"', 'response_code="200"'), 3);
});

t.test('TLS is begun with the name, the trust and the versions that are given', async (t) => {
  const authority = testAuthority(systemClock);
  const secure = await outsideTls('s', authority, ['api.example', 'alias.example']);
  const old = await outsideTls('o', authority, ['api.example'], { maxVersion: 'TLSv1.2' });
  t.teardown(() => {
    secure.close();
    old.close();
  });
  const ca = indented(authority.trustBundle);
  const ports = [
    port(80, secure.port, `{ caBundle: ${ca} }`),
    port(81, secure.port, `{ caBundle: ${ca}, sni: alias.example }`),
    port(82, secure.port, `{ caBundle: ${ca}, sni: other.example }`),
    port(83, secure.port, `{ caBundle: ${ca}, sni: other.example, subjectAltNames: [nobody.example, alias.example] }`),
    port(84, secure.port, `{}`),
    port(85, secure.port, `{ mode: Insecure, sni: whatever.example }`),
    port(86, old.port, `{ caBundle: ${ca} }`),
    port(87, old.port, `{ caBundle: ${ca}, minVersion: "1.3" }`),
    port(88, secure.port, `{ caFile: /nonexistent/ca.crt }`),
  ];
  const r = await rig(t, external('api', `{ hosts: [api.example], ports: [${ports.join(', ')}] }`), {
    'api.example': { v4: ['127.0.0.1'], ttl: 60 },
  });
  const said = async (number: number): Promise<string> => {
    const { status, reason, text } = await r.get(`http://api.example:${number}/`);
    return status === 200 ? (text.split(' ')[2] ?? '') : `${status} ${reason}`;
  };
  t.same(await Promise.all([80, 81, 82, 83, 84, 85, 86, 87, 88].map(said)), [
    'api.example',
    'alias.example',
    '503 tls-failure',
    'other.example',
    '503 tls-failure',
    'whatever.example',
    'api.example',
    '503 tls-failure',
    '503 tls-failure',
  ]);
});

t.test('a client certificate is shown from files', async (t) => {
  const authority = testAuthority(systemClock);
  const ours = authority.issueServer(['client.example'], [], 3_600_000);
  const secure = await outsideTls('s', authority, ['api.example'], {
    requestCert: true,
    rejectUnauthorized: true,
    ca: authority.trustBundle,
  });
  t.teardown(() => secure.close());
  const files = mkdtempSync(join(tmpdir(), 'tulle-files-'));
  t.teardown(() => rmSync(files, { recursive: true }));
  const [cert, key, ca] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => join(files, name));
  writeFileSync(cert ?? '', ours.chainPem);
  writeFileSync(key ?? '', ours.keyPem);
  writeFileSync(ca ?? '', authority.trustBundle);
  const tls = `{ mode: Mutual, caFile: ${ca}, clientCertificate: { certFile: ${cert}, keyFile: ${key} } }`;
  const plain = `{ caFile: ${ca} }`;
  const r = await rig(
    t,
    external(
      'api',
      `{ hosts: [api.example], ports: [{ number: 80, targetPort: ${secure.port}, tls: ${tls} }, { number: 81, targetPort: ${secure.port}, tls: ${plain} }] }`,
    ),
    { 'api.example': { v4: ['127.0.0.1'], ttl: 60 } },
  );
  t.equal((await r.get('http://api.example/')).status, 200);
  t.equal((await r.get('http://api.example:81/')).status, 503, 'without one the server ends the handshake');
});

t.test('opaque connections go there too, with TLS begun where it is said', async (t) => {
  const authority = testAuthority(systemClock);
  const { keyPem, chainPem } = authority.issueServer(['db.example'], [], 3_600_000);
  // Both speak first, as databases do.
  const plain = createServer((socket) => void socket.on('error', () => undefined).write('plain hello\n')).listen(
    0,
    '127.0.0.1',
  );
  const secure = createTlsServer({ key: keyPem, cert: chainPem }, (socket) => {
    socket.on('error', () => undefined).write(`tls hello ${String(socket.servername)}\n`);
  }).listen(0, '127.0.0.1');
  await Promise.all([once(plain, 'listening'), once(secure, 'listening')]);
  t.teardown(() => {
    plain.close();
    secure.close();
  });
  const ca = indented(authority.trustBundle);
  const ports = [
    `{ number: 5432, targetPort: ${portOf(plain)} }`,
    `{ number: 5433, targetPort: ${portOf(secure)}, appProtocol: tcp, tls: { caBundle: ${ca} } }`,
  ];
  const names = ['db.example:5432', 'db.example:5433'];
  const r = await rig(
    t,
    external('db', `{ hosts: [db.example], ports: [${ports.join(', ')}] }`),
    { 'db.example': { v4: ['127.0.0.1'], ttl: 60 } },
    { explicitListens: names.map((name) => ({ name, address: '127.0.0.1', port: 0 })) },
  );
  for (const [i, expected] of ['plain hello', 'tls hello db.example'].entries()) {
    const wire = await openWire(r.sidecar.port(names[i] ?? ''));
    t.match(await wire.includes('\n'), expected);
    wire.socket.destroy();
  }
});

t.test('addresses that are given are used without a DNS, and passed through where that is said', async (t) => {
  const [one, two] = await Promise.all([outsideHttp('one', '127.0.0.1'), outsideHttp('two', '127.0.0.2')]);
  t.teardown(() => {
    one.close();
    two.close();
  });
  const r = await rig(
    t,
    [
      external(
        'fixed',
        `{ hosts: [fixed.example], resolution: Static, addresses: [127.0.0.2], ports: [{ number: 80, targetPort: ${two.port}, appProtocol: http }] }`,
      ),
      external('through', `{ resolution: PassThrough, addresses: [127.0.0.1], ports: [{ number: ${one.port} }] }`),
    ].join('\n'),
    {},
    { unknownDestinations: 'refuse' },
  );
  t.match(await r.get('http://fixed.example/'), { text: /^two fixed\.example/ });
  t.match(await r.get(`http://127.0.0.1:${one.port}/`), { text: /^one / });
  t.match(await r.get(`http://127.0.0.2:${two.port}/`), { status: 502, reason: 'unknown-destination' });
  t.same(r.dns.questions, []);
});

t.test('a TrafficPolicy is in force on it', async (t) => {
  let failures = 2;
  const flaky = createHttpServer((_, res) => {
    res.statusCode = failures-- > 0 ? 503 : 200;
    res.end();
  }).listen(0, '127.0.0.1');
  await once(flaky, 'listening');
  t.teardown(() => flaky.close());
  const { port } = flaky.address() as AddressInfo;
  const policy = `
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: api, namespace: shop }
spec:
  targetRefs: [{ group: tulle.dev, kind: ExternalService, name: api, sectionName: web }]
  retries: { attempts: 3, retryOn: [gateway-error], backoff: { base: 1ms, max: 5ms } }
`;
  const spec = `{ hosts: [api.example], ports: [{ number: 80, name: web, targetPort: ${port}, appProtocol: http }] }`;
  const r = await rig(t, external('api', spec) + policy, { 'api.example': { v4: ['127.0.0.1'], ttl: 60 } });
  t.equal((await r.get('http://api.example/')).status, 200);
  t.equal(r.sidecar.metric('tulle_retries_total', 'destination_service="api"'), 2);
});

t.test('other addresses are used when the TTL is over, and the last ones while the DNS fails', async (t) => {
  const first = await outsideHttp('first', '127.0.0.1');
  const second = await outsideHttp('second', '127.0.0.2', first.port);
  t.teardown(() => {
    first.close();
    second.close();
  });
  const spec = `{ hosts: [api.example], ports: [{ number: 80, targetPort: ${first.port}, appProtocol: http }] }`;
  const r = await rig(t, external('api', spec), { 'api.example': { v4: ['127.0.0.1'], ttl: 0 } });
  const name = async (): Promise<string> => (await r.get('http://api.example/')).text.split(' ')[0] ?? '';
  t.equal(await name(), 'first');
  r.dns.records.set('api.example', { v4: ['127.0.0.2'], ttl: 0 });
  while ((await name()) !== 'second') await r.sidecar.settled();
  r.dns.records.set('api.example', { ttl: 0, broken: 'servfail' });
  const failed = (): number => r.sidecar.metric('tulle_dns_answers_total', 'outcome="failed"');
  while (failed() < 2) await r.sidecar.settled();
  t.equal(await name(), 'second');
  r.dns.records.delete('api.example');
  while (r.sidecar.metric('tulle_dns_answers_total', 'outcome="none"') < 6) await r.sidecar.settled();
  t.match(
    await r.get('http://api.example/'),
    { status: 503, reason: 'no-healthy-endpoint' },
    'a name that is gone is gone',
  );
});

t.test('IPv6 that does not answer costs a moment, not the request', async (t) => {
  const app = await outsideHttp('v4', '127.0.0.1');
  t.teardown(() => app.close());
  const spec = `{ hosts: [api.example, slow.example], ports: [{ number: 80, targetPort: ${app.port}, appProtocol: http }] }`;
  // Nobody listens at ::1 on that port; 100::/64 is discarded or has no route (RFC 6666).
  const r = await rig(t, external('api', spec), {
    'api.example': { v4: ['127.0.0.1'], v6: ['::1'], ttl: 60 },
    'slow.example': { v4: ['127.0.0.1'], v6: ['100::1'], ttl: 60, broken: 'silent-v6' },
  });
  t.match(await r.get('http://api.example/'), { status: 200, text: /^v4 / });
  const begunMs = systemClock.now();
  t.match(await r.get('http://slow.example/'), { status: 200, text: /^v4 / });
  t.ok(systemClock.now() - begunMs < 1500, 'a server that never tells IPv6 addresses is not waited for');
});

t.test('what is captured by an unknown address is found by the name that it asks for', async (t) => {
  const authority = testAuthority(systemClock);
  const original = await outsideHttp('original', '127.0.0.1');
  const meant = await outsideHttp('meant', '127.0.0.2');
  const { keyPem, chainPem } = authority.issueServer(['tls.example'], [], 3_600_000);
  const secure = createTlsServer({ key: keyPem, cert: chainPem }, (socket) => {
    socket.on('error', () => undefined).write('meant\n');
  }).listen(0, '127.0.0.2');
  // Speaks first, and is no external service.
  const first = createServer((socket) => void socket.on('error', () => undefined).write('first\n')).listen(
    0,
    '127.0.0.1',
  );
  await Promise.all([once(secure, 'listening'), once(first, 'listening')]);
  t.teardown(() => {
    for (const server of [original, meant, secure, first]) server.close();
  });
  const ports = [
    `{ number: ${original.port}, targetPort: ${meant.port}, appProtocol: http }`,
    `{ number: 8443, targetPort: ${portOf(secure)}, appProtocol: tls }`,
    `{ number: ${portOf(first)} }`,
  ];
  const names = [original.port, 8443, portOf(first)].map((port) => `127.0.0.1:${port}`);
  const record = { v4: ['127.0.0.2'], ttl: 60 };
  const manifest = external('api', `{ hosts: [api.example, tls.example], ports: [${ports.join(', ')}] }`);
  const r = await rig(
    t,
    manifest,
    { 'api.example': record, 'tls.example': record },
    {
      explicitListens: names.map((name) => ({ name, address: '127.0.0.1', port: 0 })),
    },
  );
  const port = (i: number): number => r.sidecar.port(names[i] ?? '');
  t.match(await ask(port(0), '/', { host: 'api.example' }), { text: /^meant api\.example/ });
  t.match(await ask(port(0), '/', { host: 'other.example' }), { text: /^original other\.example/ });
  const wire = await openWire(port(0));
  wire.write('GET / HTTP/1.1\r\nhost: api.example\r\n\r\n');
  await wire.includes('meant');
  wire.write('GET / HTTP/1.1\r\nhost: other.example\r\n\r\n');
  t.match(
    await wire.includes('original'),
    /meant[\s\S]*original other\.example/,
    'each request of a connection for itself',
  );
  wire.socket.destroy();
  const hello = tlsConnect({ port: port(1), servername: 'tls.example', ca: authority.trustBundle });
  t.equal(String((await once(hello, 'data'))[0]), 'meant\n');
  hello.destroy();
  const speaker = await openWire(port(2));
  t.equal(await speaker.includes('\n'), 'first\n', 'who speaks first is not kept waiting');
  speaker.socket.destroy();
  r.mesh.write('policy.yaml', REFUSE);
  while ((await ask(port(0), '/', { host: 'other.example' })).status !== 502) await r.sidecar.settled();
  t.match(await ask(port(0), '/', { host: 'api.example' }), { text: /^meant api\.example/ });
});
