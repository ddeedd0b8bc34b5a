/** Paths rewritten as Envoy does. What filters of Gateway API come to is tested in test/conformance. */
import t from 'tap';
import type { PathMatchConfig } from '../../../proxy/config/matches.ts';
import { rewrittenPath } from '../../../proxy/forwarding/path-rewrite.ts';

t.test('a path is rewritten by prefix or by expression, and the query stays', async (t) => {
  const prefix: PathMatchConfig = { kind: 'segments', value: '/a' };
  const regex: PathMatchConfig = { kind: 'regex', value: '/a.*' };
  const by = (pattern: string, substitution: string): string =>
    rewrittenPath('/a/b/a?q=/a', regex, { prefixRewrite: '', regexRewrite: { regex: pattern, substitution } });
  t.same(
    [
      rewrittenPath('/a/b?q=/a', prefix, { prefixRewrite: '/x' }),
      rewrittenPath('/a/b', prefix, { prefixRewrite: '' }),
      rewrittenPath('/a/b', regex, { prefixRewrite: '/x' }),
      by('a', 'x'),
      by('^/(a)/(b|c)(z)?', String.raw`/\2/\1\3/\0\\`),
      by('none', 'x'),
    ],
    ['/x/b?q=/a', '/a/b', '/a/b', '/x/b/x?q=/a', String.raw`/b/a//a/b\/a?q=/a`, '/a/b/a?q=/a'],
  );
});
