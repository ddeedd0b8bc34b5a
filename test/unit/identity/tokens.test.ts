/**
 * Folder tokens: what is accepted, and every way to be refused.
 */
import { createHmac, randomBytes } from 'node:crypto';
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import { FolderTokens, loadTokenKey } from '../../../control-plane/identity/tokens.ts';

const KEY = randomBytes(32);
const CART = { namespace: 'shop', serviceAccount: 'cart', pod: 'cart-1' };

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A token with any header and claims, well signed. */
function forge(claims: unknown, header: unknown = { alg: 'HS256' }, key = KEY): string {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

function claimsAt(clock: FakeClock): Record<string, unknown> {
  return {
    aud: ['tulle'],
    sub: 'system:serviceaccount:shop:cart',
    exp: clock.wall() / 1000 + 60,
    'kubernetes.io': { namespace: 'shop', pod: { name: 'cart-1' }, serviceaccount: { name: 'cart' } },
  };
}

t.test('an issued token speaks for its workload until it expires', async (t) => {
  const clock = new FakeClock();
  const tokens = new FolderTokens(KEY, clock);
  const token = tokens.issue(CART, 60_000);
  t.same(await tokens.review(token), { ok: true, value: CART });
  t.same(await tokens.review(forge(claimsAt(clock))), { ok: true, value: CART }, 'as Kubernetes writes it');
  clock.advance(60_000);
  t.same(await tokens.review(token), { ok: false, error: 'token has expired' });
});

t.test('every other token is refused with a reason', async (t) => {
  const clock = new FakeClock();
  const tokens = new FolderTokens(KEY, clock);
  const good = claimsAt(clock);
  const [header = '', payload = '', signature = ''] = forge(good).split('.');
  const kubernetes = good['kubernetes.io'] as Record<string, unknown>;
  const cases: Record<string, readonly [token: string, reason: RegExp]> = {
    empty: ['', /JWS/],
    'two parts': [`${header}.${payload}`, /JWS/],
    'four parts': [`${header}.${payload}.${signature}.x`, /JWS/],
    'no signature': [`${header}.${payload}.`, /signature/],
    'another key': [forge(good, { alg: 'HS256' }, randomBytes(32)), /signature/],
    'another payload': [`${header}.${encode({ ...good, sub: 'x' })}.${signature}`, /signature/],
    'another spelling of the signature': [`${header}.${payload}.${signature}=`, /base64url/],
    'alg none': [forge(good, { alg: 'none' }), /algorithm/],
    'another algorithm': [forge(good, { alg: 'RS256' }), /algorithm/],
    'critical header': [forge(good, { alg: 'HS256', crit: ['b64'] }), /algorithm/],
    'no JSON': [forge('hello'), /JSON/],
    'a list': [forge([good]), /JSON/],
    'another audience': [forge({ ...good, aud: ['vault'] }), /audience/],
    'no audience': [forge({ ...good, aud: undefined }), /audience/],
    'no expiry': [forge({ ...good, exp: undefined }), /no expiry/],
    'expiry as text': [forge({ ...good, exp: '9999999999' }), /no expiry/],
    expired: [forge({ ...good, exp: clock.wall() / 1000 }), /expired/],
    'not yet valid': [forge({ ...good, nbf: clock.wall() / 1000 + 10 }), /not valid yet/],
    'another subject': [forge({ ...good, sub: 'system:serviceaccount:shop:admin' }), /subject/],
    'no pod': [forge({ ...good, 'kubernetes.io': { ...kubernetes, pod: undefined } }), /name/],
    'a bad name': [forge({ ...good, 'kubernetes.io': { ...kubernetes, namespace: 'a/../b' } }), /name/],
    'too long': [forge({ ...good, more: 'x'.repeat(9000) }), /long/],
  };
  for (const [name, [token, reason]] of Object.entries(cases)) {
    t.match(await tokens.review(token), { ok: false, error: reason }, name);
  }
});

t.test('the key is made once', async (t) => {
  const folder = t.testdir();
  const key = loadTokenKey(folder);
  t.same([key.length, loadTokenKey(folder)], [32, key]);
});
