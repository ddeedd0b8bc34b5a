/** What of a request is hashed, and what becomes of several. */
import t from 'tap';
import { xxHash64 } from '#base/xx-hash.ts';
import type { HashKeyConfig } from '../../../proxy/config/balancers.ts';
import { Exchange } from '../../../proxy/exchange/exchange.ts';
import { hashRequest } from '../../../proxy/forwarding/hash-key.ts';
import { HeaderList } from '../../../proxy/http/headers.ts';
import type { RequestHead } from '../../../proxy/http/message.ts';

function exchange(fields: string[], path = '/', address = '10.1.2.3:4567'): Exchange {
  const head = { headers: new HeaderList(fields), path } as RequestHead;
  return new Exchange({ direction: 'outbound', address, identity: '', clientCert: '' }, head, 0);
}

const key = (kind: HashKeyConfig['kind'], name = '', terminal = true): HashKeyConfig => ({ kind, name, terminal });

t.test('each kind of key is the hash of its value', async (t) => {
  t.same(hashRequest([key('header', 'x-user')], exchange(['x-user', 'ann'])), xxHash64('ann'));
  t.same(hashRequest([key('query', 'id')], exchange([], '/a?b=1&id=ann')), xxHash64('ann'));
  t.same(hashRequest([key('address')], exchange([])), xxHash64('10.1.2.3'));
  t.same(hashRequest([key('address')], exchange([], '/', 'fd00::1:4567')), xxHash64('fd00::1'));
  const cookies = exchange(['cookie', 'a=1; session=ann ;b=2', 'cookie', 'session=late; other=x']);
  t.same(hashRequest([key('cookie', 'session')], cookies), xxHash64('ann'));
  t.same(hashRequest([key('cookie', 'other')], cookies), xxHash64('x'));
});

t.test('what a request does not have is left out', async (t) => {
  const bare = exchange(['cookie', 'session=; sessions=1']);
  for (const missing of [key('header', 'x-user'), key('query', 'id'), key('cookie', 'session')]) {
    t.equal(hashRequest([missing], bare), null, missing.kind);
    t.same(hashRequest([missing, key('address')], bare), xxHash64('10.1.2.3'), missing.kind);
  }
});

t.test('several lines of a header count in any order', async (t) => {
  const keys = [key('header', 'x')];
  t.same(hashRequest(keys, exchange(['x', 'b', 'x', 'a'])), xxHash64('b', xxHash64('a')));
  t.same(hashRequest(keys, exchange(['x', 'a', 'x', 'b'])), xxHash64('b', xxHash64('a')));
});

t.test('the first that is there ends the search when it is terminal, else all are combined in order', async (t) => {
  const both = exchange(['x', '1', 'y', '2']);
  t.same(hashRequest([key('header', 'x'), key('header', 'y')], both), xxHash64('1'));
  const combined = hashRequest([key('header', 'x', false), key('header', 'y', false)], both);
  const swapped = hashRequest([key('header', 'y', false), key('header', 'x', false)], both);
  const [one, two] = [xxHash64('1'), xxHash64('2')];
  t.equal(combined!.lo, (((one.lo << 1) | (one.hi >>> 31)) ^ two.lo) >>> 0);
  t.equal(combined!.hi, (((one.hi << 1) | (one.lo >>> 31)) ^ two.hi) >>> 0);
  t.not(combined!.lo, swapped!.lo);
});
