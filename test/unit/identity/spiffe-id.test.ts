/**
 * SPIFFE IDs against the cases of go-spiffe (test/corpora/spiffe).
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseSpiffeId, parseWorkloadId, workloadId } from '../../../control-plane/identity/spiffe-id.ts';

const corpus = JSON.parse(
  readFileSync(new URL('../../corpora/spiffe/spiffe-id-cases.json', import.meta.url), 'utf8'),
) as { valid: string[]; invalid: string[] };

t.test('every case of the corpus is judged as go-spiffe does', async (t) => {
  t.ok(corpus.valid.length > 100 && corpus.invalid.length > 400);
  t.same(
    corpus.valid.filter((id) => !parseSpiffeId(id).ok),
    [],
  );
  t.same(
    corpus.invalid.filter((id) => parseSpiffeId(id).ok),
    [],
  );
});

t.test('an ID has a bounded length', async (t) => {
  t.same(
    [2036, 2037].map((length) => parseSpiffeId(`spiffe://td/${'a'.repeat(length)}`).ok),
    [true, false],
  );
  t.same(
    [255, 256].map((length) => parseSpiffeId(`spiffe://${'a'.repeat(length)}`).ok),
    [true, false],
  );
});

t.test('a workload has one ID, and an ID of another form names no workload', async (t) => {
  const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' };
  t.equal(workloadId(identity), 'spiffe://cluster.local/ns/shop/sa/cart');
  t.same(parseWorkloadId(workloadId(identity)), identity);
  const others = ['', '/ns/shop', '/ns/shop/sa', '/ns/shop/sa/cart/x', '/sa/cart/ns/shop'];
  for (const path of others) t.equal(parseWorkloadId(`spiffe://cluster.local${path}`), null);
});
