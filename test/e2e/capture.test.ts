/** The capture command against real iptables, in a namespace of its own, and what the kernel then says about a captured connection. */
import path from 'node:path';
import t from 'tap';
import { namespacesMissing, openNamespace, type TestNamespace } from '../support/netns.ts';
import { ROOT } from './running-mesh.ts';

const skip = namespacesMissing();
t.setTimeout(60_000);

function capture(namespace: TestNamespace, ...argv: string[]) {
  const { status, stdout, stderr } = namespace.run(
    process.execPath,
    path.join(ROOT, 'proxy/main.ts'),
    'capture',
    ...argv,
  );
  return { status, lines: `${stdout}${stderr}`.split('\n').filter((line) => line !== '') };
}

t.test('rules are applied once however often they are, checked, and removed without a trace', { skip }, async (t) => {
  const namespace = openNamespace();
  t.teardown(() => namespace.remove());
  const listing = (): string =>
    ['iptables', 'ip6tables'].map((program) => namespace.run(program, '-t', 'nat', '-S').stdout).join('');
  const clean = listing();
  const flags = ['--exclude-outbound-ports', '22,25', '--exclude-outbound-ranges', '10.9.0.0/16,fd99::/16'];
  t.match(capture(namespace, 'check', ...flags), {
    status: 1,
    lines: /IPv6: OUTPUT lacks the rule: -p tcp -j TULLE_OUTBOUND/,
  });
  t.same(capture(namespace, 'apply', ...flags), { status: 0, lines: [] });
  const applied = listing();
  t.same(capture(namespace, 'apply', ...flags), { status: 0, lines: [] });
  t.equal(listing(), applied, 'a second time changes nothing');
  t.same(capture(namespace, 'check', ...flags), { status: 0, lines: [] });
  namespace.run('iptables', '-t', 'nat', '-D', 'TULLE_OUTBOUND', '-o', 'lo', '-j', 'RETURN');
  t.same(capture(namespace, 'check', ...flags), {
    status: 1,
    lines: ['IPv4: TULLE_OUTBOUND lacks the rule: -o lo -j RETURN'],
  });
  t.same(capture(namespace, 'apply', '--ipv6', 'on'), { status: 0, lines: [] }, 'other flags replace the rules');
  t.notMatch(listing(), /10\.9\.0\.0|fd99|--dport 22/);
  t.same(
    [capture(namespace, 'remove'), capture(namespace, 'remove')],
    [
      { status: 0, lines: [] },
      { status: 0, lines: [] },
    ],
  );
  t.equal(listing(), clean);
});

t.test('a captured connection knows where it was going, a closed one does not', { skip }, async (t) => {
  const namespace = openNamespace();
  t.teardown(() => namespace.remove());
  t.same(capture(namespace, 'apply', '--exclude-outbound-ports', '9999'), { status: 0, lines: [] });
  const probe = (...words: string[]): string[] =>
    namespace
      .run('timeout', '10', process.execPath, path.join(import.meta.dirname, 'original-dst-probe.ts'), ...words)
      .stdout.trim()
      .split('\n');
  t.same(probe('127.0.0.1', '15001', '10.96.0.7', '8080'), ['{"address":"10.96.0.7","port":8080}', 'null']);
  t.same(probe('::1', '15001', 'fd22::7', '443'), ['{"address":"fd22::7","port":443}', 'null']);
  t.same(
    probe('::', '15001', '10.96.0.8', '81'),
    ['{"address":"10.96.0.8","port":81}', 'null'],
    'IPv4 on a socket for both',
  );
});
