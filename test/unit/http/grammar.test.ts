/** The character classes, byte by byte, against the words of the RFCs. */
import t from 'tap';
import { isFieldValue, isLowerToken } from '../../../proxy/http/grammar.ts';
import { isMethod, RULE, ruleOf } from '../../../proxy/http/h2/field-rules.ts';

const BYTES = Array.from({ length: 257 }, (_, code) => String.fromCharCode(code));

t.test('a lower-case token is made of tchar and of nothing else, NUL included', async (t) => {
  for (const text of BYTES) {
    const isToken = /^[!#$%&'*+\-.^_`|~0-9a-z]$/.test(text);
    for (const name of [text, `x${text}`, `${text}x`, `x${text}x`]) {
      if (isLowerToken(name) !== isToken) t.equal(isLowerToken(name), isToken, JSON.stringify(name));
      if ((ruleOf(name) === RULE.malformed) === isToken) t.equal(ruleOf(name), isToken, JSON.stringify(name));
    }
    const isUpper = /^[A-Z]$/.test(text);
    if (isMethod(`G${text}T`) !== (isToken || isUpper)) t.equal(isMethod(`G${text}T`), isToken, JSON.stringify(text));
  }
  t.equal(isLowerToken(''), false);
});

t.test('a field value has no control character but HTAB', async (t) => {
  for (const text of BYTES) {
    // RFC 9110 5.5: field-vchar, SP, HTAB.
    const isAllowed = /^[\t\x20-\x7e\x80-\xff]$/.test(text);
    if (isFieldValue(`a${text}b`) !== isAllowed) t.equal(isFieldValue(`a${text}b`), isAllowed, JSON.stringify(text));
  }
  t.pass('every byte');
});
