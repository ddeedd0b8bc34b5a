/**
 * Own certificates: the request, the checks of the answer, and when the next one is asked for. Time is the test's.
 */
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import { silentLogger } from '#base/log.ts';
import { readSigningRequest } from '../../../control-plane/identity/signing-request.ts';
import { checkCertificates, summarize } from '../../../proxy/supervisor/identity/certificate.ts';
import { createSigningRequest } from '../../../proxy/supervisor/identity/csr.ts';
import { IdentityRotation } from '../../../proxy/supervisor/identity/rotation.ts';
import type { IdentityMaterial } from '../../../proxy/worker/messages.ts';
import { testAuthority } from '../../support/fake-control-plane.ts';

const ID = 'spiffe://cluster.local/ns/shop/sa/web';
const HOUR = 3_600_000;

function ignore(): void {
  // Nobody waits yet.
}

/** Why an answer is refused, without the times in it. */
function reason(...check: Parameters<typeof checkCertificates>): string {
  const checked = checkCertificates(...check);
  return checked.ok ? 'taken' : checked.error.replace(/ (?:from|ended) .*/, '');
}

/** A rotation whose authority is asked by hand. */
function setUp() {
  const clock = new FakeClock();
  const authority = testAuthority(clock, 24 * HOUR);
  const calls: { readonly answer: (mistake?: string) => void }[] = [];
  const identities: IdentityMaterial[] = [];
  let wake = ignore;
  const rotation = new IdentityRotation({
    spiffeId: ID,
    clock,
    random: () => 0.5,
    log: silentLogger,
    onIdentity: (identity) => {
      identities.push(identity);
      wake();
    },
    sign: (csr) =>
      new Promise((resolve, reject) => {
        const answer = (mistake?: string): void => {
          const issued = authority.issueWorkload(csr, ID, 0);
          if (mistake !== undefined || !issued.ok) reject(new Error(mistake ?? 'refused'));
          else resolve(issued.value.chain);
        };
        calls.push({ answer });
        wake();
      }),
  });
  /** The next call or identity. */
  const event = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  return { clock, calls, identities, rotation, event };
}

t.test('a signing request is read by the authority and asks for the SPIFFE ID', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const read = readSigningRequest(createSigningRequest(privateKey, ID));
  t.ok(read.ok && read.value.equals(publicKey));
});

t.test('an answer for another key, another name or another time is refused', async (t) => {
  const clock = new FakeClock();
  const authority = testAuthority(clock, HOUR);
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const issued = authority.issueWorkload(createSigningRequest(key, ID), ID, 0);
  const chain = issued.ok ? issued.value.chain : [];
  t.same(
    [
      reason(chain, key, ID, clock.wall()),
      reason([], key, ID, clock.wall()),
      reason(['-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----'], key, ID, clock.wall()).slice(0, 28),
      reason(chain, other, ID, clock.wall()),
      reason(chain, key, `${ID}2`, clock.wall()),
      reason(chain, key, ID, clock.wall() + 2 * HOUR),
      reason(chain, key, ID, clock.wall() - 2 * HOUR),
    ],
    [
      'taken',
      'the answer holds no certificate',
      'a certificate cannot be read',
      'the certificate is for another key than ours',
      `the certificate is for URI:${ID}, not for URI:${ID}2`,
      'the certificate',
      'the certificate is in force only',
    ],
  );
  const taken = checkCertificates(chain, key, ID, clock.wall());
  t.equal(taken.ok && summarize(taken.value.certChainPem).length, 2, 'leaf and issuer; peers have the root');
});

t.test('a certificate is renewed with a new key between 60 % and two thirds of its life', async (t) => {
  const { clock, calls, identities, rotation, event } = setUp();
  rotation.start();
  await event();
  t.equal(rotation.current, null, 'nothing before the first answer');
  calls[0]?.answer();
  await event();
  t.equal(rotation.current?.spiffeId, ID);
  clock.advance(0.6 * 24 * HOUR);
  t.equal(calls.length, 1);
  clock.advance(0.07 * 24 * HOUR);
  await event();
  calls[1]?.answer();
  await event();
  t.equal(identities.length, 2);
  t.not(identities[0]?.privateKeyPem, identities[1]?.privateKeyPem);
  rotation.close();
  t.equal(clock.size, 0);
});

t.test(
  'while the authority fails the present certificate serves to its end, and tries go on with back-off',
  async (t) => {
    const { clock, calls, rotation, event } = setUp();
    rotation.start();
    await event();
    calls[0]?.answer();
    await event();
    clock.advance(0.67 * 24 * HOUR);
    for (let failure = 1; failure <= 10; failure++) {
      await event();
      calls[failure]?.answer('out of order');
      await new Promise((resolve) => setImmediate(resolve));
      t.equal(rotation.failures, failure);
      t.equal(clock.size, 1, 'the next try is due');
      clock.advance(30_000);
    }
    t.ok(rotation.current, 'still in force');
    clock.advance(24 * HOUR);
    t.equal(rotation.current, null, 'over');
    rotation.close();
  },
);
