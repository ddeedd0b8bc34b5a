/** The header list, what belongs to one hop, and the small grammars. */
import t from 'tap';
import { HASH_SEED, hashStep, internFieldName } from '../../../proxy/http/field-names.ts';
import { isFieldValue, normalizeAuthority, parseDecimal } from '../../../proxy/http/grammar.ts';
import { HeaderList, removeHopByHop } from '../../../proxy/http/headers.ts';

t.test('a list keeps order and duplicates, and changes in place', async (t) => {
  const headers = new HeaderList(['a', '1', 'b', '2', 'a', '3', 'c', '4']);
  const before = headers.clone();
  t.same(
    [headers.size, headers.get('a'), headers.getAll('a'), headers.has('c'), headers.get('d'), headers.has('d')],
    [4, '1', ['1', '3'], true, undefined, false],
  );
  headers.set('a', '9');
  headers.set('d', '5');
  headers.add('d', '6');
  t.same(headers.fields, ['a', '9', 'b', '2', 'c', '4', 'd', '5', 'd', '6']);
  t.same([headers.remove('d'), headers.remove('d'), headers.remove('b')], [true, false, true]);
  t.same(headers.fields, ['a', '9', 'c', '4']);
  t.equal(before.size, 4, 'a clone goes its own way');
});

t.test(
  'nothing that could end a line gets into a list, not even a code point that latin1 would cut down to one',
  async (t) => {
    const headers = new HeaderList(['a', '1']);
    for (const value of ['x\r\ny: z', 'x\ny', 'x\ry', 'x\0', '\x7f', 'x\u010ay', '\u560a', '💥']) {
      t.throws(() => headers.add('b', value), TypeError, JSON.stringify(value));
      t.throws(() => headers.set('a', value), TypeError, JSON.stringify(value));
    }
    for (const name of ['', 'A', 'a b', 'a:', 'a\r\n', 'é'])
      t.throws(() => headers.add(name, 'x'), TypeError, JSON.stringify(name));
    headers.add('b', 'a\tb \xff');
    t.same(headers.fields, ['a', '1', 'b', 'a\tb \xff']);
  },
);

t.test('what ends at a hop is removed; what must stay cannot be nominated away (RFC 9110 7.6.1)', async (t) => {
  const headers = new HeaderList(
    [
      'connection',
      'keep-alive',
      'proxy-connection',
      'transfer-encoding',
      'upgrade',
      'http2-settings',
      'x-mine',
      'host',
      'content-length',
      'x-forwarded-client-cert',
      'x-kept',
      'te',
      'te',
    ].flatMap((name, i) => [name, name === 'te' && i > 11 ? 'gzip;q=0.5, Trailers' : 'gzip']),
  );
  removeHopByHop(headers, 'X-Mine, close, HOST, content-length, X-Forwarded-Client-Cert, , bad name');
  t.same(headers.fields, [
    'host',
    'gzip',
    'content-length',
    'gzip',
    'x-forwarded-client-cert',
    'gzip',
    'x-kept',
    'gzip',
    'te',
    'trailers',
  ]);
  const gzip = new HeaderList(['te', 'gzip']);
  removeHopByHop(gzip, '');
  t.same(gzip.fields, []);
});

t.test('an authority has one form', async (t) => {
  const forms = {
    'A.Example.COM:8080': 'a.example.com:8080',
    'a:': 'a',
    '[FE80::1]': '[fe80::1]',
    '[::1]:80': '[::1]:80',
    '10.0.0.1:0': '10.0.0.1:0',
    under_score: 'under_score',
    'a%2Fb': 'a%2fb',
  };
  t.same(Object.fromEntries(Object.keys(forms).map((text) => [text, normalizeAuthority(text)])), forms);
  for (const text of [
    '',
    ':1',
    'a b',
    'u@a',
    'a/b',
    'a?b',
    'a#b',
    'a,b',
    'a:65536',
    'a:000080',
    'a:1:2',
    '[::1',
    '[1]',
    '[:::::::::1]',
    '[::1]1',
    '[fe80::1%25eth0]',
    'a%2',
    '\xe4',
    'a'.repeat(301),
  ]) {
    t.equal(normalizeAuthority(text), null, text);
  }
});

t.test('decimals and values are read strictly', async (t) => {
  t.same(['0', '007', '9007199254740991'].map(parseDecimal), [0, 7, Number.MAX_SAFE_INTEGER]);
  t.same(['', '-1', '+1', '1 ', '9007199254740992', '1e3', '١'].map(parseDecimal), [-1, -1, -1, -1, -1, -1, -1]);
  t.same(['', 'a\tb', '\xff', 'a\nb', '\u0100'].map(isFieldValue), [true, true, true, false, false]);
});

/** As the scanner asks: by the hash of the bytes in lower case. */
function idOf(name: string): number {
  const bytes = Buffer.from(name);
  let hash = HASH_SEED;
  for (const byte of Buffer.from(name.toLowerCase())) hash = hashStep(hash, byte);
  return internFieldName(bytes, 0, bytes.length, hash).id;
}

t.test('a flood of names cannot hide a field that frames', async (t) => {
  const before = ['Content-Length', 'transfer-encoding', 'Host', 'x'].map(idOf);
  for (let i = 0; i < 5000; i++) idOf(`x-${i}`);
  t.same(['CONTENT-LENGTH', 'Transfer-Encoding', 'hOST', 'x'].map(idOf), before);
  t.equal(new Set(before).size, 4);
});
