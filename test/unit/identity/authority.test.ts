/**
 * The certificate authority: what it signs, what it refuses, how its keys are kept. Shapes after X509-SVID and RFC 5280.
 */
import { execFileSync } from 'node:child_process';
import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import {
  Authority,
  CLOCK_SKEW_MS,
  ISSUER_LIFE_MS,
  createIssuer,
  createRoot,
  issuerIsDue,
} from '../../../control-plane/identity/authority.ts';
import { loadAuthority, saveTrustBundle } from '../../../control-plane/identity/authority-files.ts';
import * as der from '../../../control-plane/identity/der.ts';
import { decodePem, encodePem } from '../../../control-plane/identity/pem.ts';
import { FORGED_ID, ecKey, signingRequest, signingRequestDer } from '../../support/signing-request.ts';

const DAY_MS = 86_400_000;
const ID = 'spiffe://cluster.local/ns/shop/sa/cart';

function authority(clock = new FakeClock(), maxLeafMs = DAY_MS): Authority {
  const root = createRoot('cluster.local', clock.wall());
  const issuer = createIssuer(root, 'cluster.local', clock.wall());
  return new Authority({ root, issuer, extraRoots: [] }, { trustDomain: 'cluster.local', maxLeafMs, clock });
}

function leafOf(ca: Authority, lifeMs = 0): X509Certificate {
  const issued = ca.issueWorkload(signingRequest(), ID, lifeMs);
  if (!issued.ok) throw new Error(issued.error);
  return new X509Certificate(issued.value.chain[0] ?? '');
}

/** Extensions by OID: critical or not, and content. */
function extensionsOf(certificate: X509Certificate): Map<string, { critical: boolean; hex: string }> {
  const tbs = der.sequenceOf(der.sequenceOf(der.decode(certificate.raw) ?? undefined)[0]);
  const list = tbs.at(-1)?.value;
  const extensions = Array.isArray(list) ? der.sequenceOf(list[0]) : [];
  return new Map(
    extensions.map((extension) => {
      const parts = der.sequenceOf(extension);
      const content = der.contentOf(parts.at(-1), der.TAG.octetString);
      return [der.oidOf(parts[0]), { critical: parts.length === 3, hex: content?.toString('hex') ?? '' }];
    }),
  );
}

t.test('a leaf is an X509-SVID for the proven identity, whatever the request asked for', async (t) => {
  const clock = new FakeClock();
  const ca = authority(clock);
  const issued = ca.issueWorkload(signingRequest({ uri: FORGED_ID, commonName: 'admin' }), ID, 0);
  if (!issued.ok) throw new Error(issued.error);
  const [leaf, issuer, root, ...more] = issued.value.chain.map((pem) => new X509Certificate(pem));
  if (leaf === undefined || issuer === undefined || root === undefined) throw new Error('short chain');
  t.same(
    {
      length: more.length + 3,
      verifies: [leaf.verify(issuer.publicKey), issuer.verify(root.publicKey), root.verify(root.publicKey)],
      ca: [leaf.ca, issuer.ca, root.ca],
      subject: leaf.subject ?? '',
      names: leaf.subjectAltName,
      usages: leaf.keyUsage,
      from: leaf.validFromDate.getTime(),
      to: leaf.validToDate.getTime(),
      serialBits: leaf.serialNumber.length * 4,
    },
    {
      length: 3,
      verifies: [true, true, true],
      ca: [false, true, true],
      subject: '',
      names: `URI:${ID}`,
      usages: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
      from: clock.wall() - CLOCK_SKEW_MS,
      to: clock.wall() + DAY_MS,
      serialBits: 128,
    },
  );
  const extensions = extensionsOf(leaf);
  t.match(Object.fromEntries(extensions), {
    '2.5.29.19': { critical: true, hex: '3000' },
    '2.5.29.15': { critical: true, hex: '03020780' },
    '2.5.29.17': { critical: true },
  });
  t.not(leaf.serialNumber, leafOf(ca).serialNumber);
  t.equal(ca.issued, 2);
});

t.test('openssl finds the chain in order', async (t) => {
  const ca = authority(new FakeClock(0, Date.now()));
  const folder = t.testdir({ 'root.pem': ca.trustBundle });
  const issued = ca.issueWorkload(signingRequest(), ID, 0);
  if (!issued.ok) throw new Error(issued.error);
  writeFileSync(join(folder, 'leaf.pem'), issued.value.chain[0] ?? '');
  writeFileSync(join(folder, 'issuer.pem'), issued.value.chain[1] ?? '');
  try {
    execFileSync('openssl', ['version']);
  } catch {
    t.comment('skipped: openssl is not installed');
    return;
  }
  const flags = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', 'root.pem', '-untrusted', 'issuer.pem'];
  t.equal(execFileSync('openssl', [...flags, 'leaf.pem'], { cwd: folder }).toString(), 'leaf.pem: OK\n');
});

t.test('a leaf lives as long as wished, within the bounds, and never longer than its issuer', async (t) => {
  const clock = new FakeClock();
  const ca = authority(clock);
  const life = (wishedMs: number): number => leafOf(ca, wishedMs).validToDate.getTime() - clock.wall();
  t.same([life(20_000), life(1), life(400 * DAY_MS)], [20_000, 5000, DAY_MS]);
  clock.advance(ISSUER_LIFE_MS - 3_600_500);
  t.equal(leafOf(ca).validToDate.getTime(), ca.issuer.validToDate.getTime());
});

t.test('an issuer is renewed with the same root when a third of its life is left', async (t) => {
  const clock = new FakeClock();
  const ca = authority(clock);
  const before = ca.issuer;
  clock.advance((ISSUER_LIFE_MS * 2) / 3 - DAY_MS);
  t.equal(ca.renewIssuer(), null);
  clock.advance(2 * DAY_MS);
  t.ok(issuerIsDue(before, clock.wall()));
  t.not(ca.renewIssuer(), null);
  t.notSame(ca.issuer.raw, before.raw);
  t.ok(ca.issuer.verify(ca.root.publicKey) && leafOf(ca).verify(ca.issuer.publicKey));
});

t.test('an identity that is not of this mesh is not signed', async (t) => {
  const ca = authority();
  const ids = ['spiffe://cluster.local', 'spiffe://other/ns/a/sa/b', 'spiffe://cluster.local/ns/a/sa/..', 'cart', ''];
  for (const id of ids) t.equal(ca.issueWorkload(signingRequest(), id, 0).ok, false, id);
});

function pem(block: Buffer): string {
  return encodePem('CERTIFICATE REQUEST', block);
}

t.test('bad requests are refused, each with its reason', async (t) => {
  const ca = authority();
  const good = signingRequest();
  const bytes = signingRequestDer();
  const flipped = Buffer.from(bytes);
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const cases: Record<string, readonly [pem: string, reason: RegExp]> = {
    nothing: ['', /exactly one/],
    'no PEM': ['hello', /PEM/],
    'another block': [good.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'), /PEM/],
    'two requests': [good + good, /exactly one/],
    'text around it': [`hello\n${good}`, /PEM/],
    'no end': [good.slice(0, -40), /PEM/],
    'not base64': [good.replace('\n', '\n*'), /base64/],
    'cut short': [pem(bytes.subarray(0, -10)), /DER/],
    'bytes after it': [pem(Buffer.concat([bytes, Buffer.of(0)])), /DER/],
    'BER, not DER': [pem(Buffer.concat([Buffer.of(0x30, 0x80), bytes.subarray(3), Buffer.of(0, 0)])), /DER/],
    'some other DER': [pem(Buffer.from('3003020101', 'hex')), /PKCS #10/],
    'a wrong signature': [pem(flipped), /signature does not verify/],
    "another's key": [signingRequest({ signer: ecKey() }), /signature does not verify/],
    'another curve': [signingRequest({ key: ecKey('P-384') }), /P-256/],
    'another kind of key': [signingRequest({ key: rsa }), /P-256/],
    'too long': [good + ' '.repeat(20_000), /longer than/],
  };
  for (const [name, [text, reason]] of Object.entries(cases)) {
    const issued = ca.issueWorkload(text, ID, 0);
    t.match(issued, { ok: false, error: reason }, name);
  }
  t.equal(ca.issued, 0);
});

t.test('a server certificate has the names it was asked for', async (t) => {
  const server = authority().issueServer(['localhost', 'a.b'], ['127.0.0.1', '::1', 'fd00::1:2'], DAY_MS);
  const leaf = new X509Certificate(server.chainPem);
  t.same(
    ['localhost', 'a.b', 'c'].map((name) => leaf.checkHost(name) !== undefined),
    [true, true, false],
  );
  t.same(
    ['127.0.0.1', '::1', 'fd00::1:2', '127.0.0.2'].map((address) => leaf.checkIP(address) !== undefined),
    [true, true, true, false],
  );
});

t.test('keys are made once, kept for the owner alone, and read again', async (t) => {
  const folder = join(t.testdir(), 'state');
  const wall = Date.UTC(2026, 0, 1);
  const first = loadAuthority(folder, 'cluster.local', wall);
  saveTrustBundle(folder, 'bundle');
  const modes = Object.fromEntries(
    ['.', ...readdirSync(folder)].map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]),
  );
  t.same(modes, { '.': '700', 'root.pem': '600', 'issuer.pem': '600', 'ca.pem': '644' });
  const again = loadAuthority(folder, 'cluster.local', wall + DAY_MS);
  t.same(
    [again.root.certificate.raw, again.issuer.certificate.raw],
    [first.root.certificate.raw, first.issuer.certificate.raw],
  );
  const later = loadAuthority(folder, 'cluster.local', wall + 300 * DAY_MS);
  t.same(later.root.certificate.raw, first.root.certificate.raw);
  t.notSame(later.issuer.certificate.raw, first.issuer.certificate.raw);
});

t.test('a state folder that cannot be used is told, not replaced', async (t) => {
  const wall = Date.UTC(2026, 0, 1);
  const fresh = (name: string): string => {
    const folder = t.testdir({ [name]: {} });
    loadAuthority(join(folder, name), 'cluster.local', wall);
    return join(folder, name);
  };
  const open = fresh('open');
  chmodSync(join(open, 'root.pem'), 0o644);
  t.throws(() => loadAuthority(open, 'cluster.local', wall), /can be read by others/);
  t.throws(() => loadAuthority(fresh('other'), 'other.domain', wall), /not for the trust domain/);
  const broken = fresh('broken');
  writeFileSync(join(broken, 'root.pem'), 'hello');
  t.throws(() => loadAuthority(broken, 'cluster.local', wall), /root\.pem does not hold/);
  t.equal(readFileSync(join(broken, 'root.pem'), 'utf8'), 'hello');
  t.throws(() => loadAuthority(fresh('old'), 'cluster.local', wall + 4000 * DAY_MS), /expired/);
});

t.test('a trust bundle may have several roots', async (t) => {
  const folder = t.testdir();
  const wall = Date.UTC(2026, 0, 1);
  const other = createRoot('cluster.local', wall);
  writeFileSync(join(folder, 'extra-roots.pem'), encodePem('CERTIFICATE', other.certificate.raw));
  const material = loadAuthority(folder, 'cluster.local', wall);
  const ca = new Authority(material, { trustDomain: 'cluster.local', maxLeafMs: DAY_MS, clock: new FakeClock() });
  const bundle = decodePem(ca.trustBundle, 'CERTIFICATE');
  t.same(bundle, { ok: true, value: [material.root.certificate.raw, other.certificate.raw] });
});
