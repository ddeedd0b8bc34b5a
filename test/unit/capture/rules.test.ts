/** Capture rules as text: what is generated, how it is compared with what is found, and how flags are judged. No iptables here. */
import t from 'tap';
import { formatProblem } from '#base/problems.ts';
import { parseCaptureFlags } from '../../../proxy/capture/flags.ts';
import { parseRange } from '../../../proxy/capture/ip-range.ts';
import { applyScript, captureRules, differences, parseListing, removeScript } from '../../../proxy/capture/rules.ts';

function optionsOf(...argv: string[]) {
  const parsed = parseCaptureFlags(['apply', ...argv]);
  if (!parsed.ok) throw new Error(parsed.error.list.map(formatProblem).join('; '));
  return parsed.value.options;
}

/** What `iptables -t nat -S` would print after the script was applied to an empty table. */
function listingAfter(script: string): string {
  const lines = ['-P PREROUTING ACCEPT', '-P INPUT ACCEPT', '-P OUTPUT ACCEPT', '-P POSTROUTING ACCEPT'];
  for (const line of script.split('\n')) {
    if (line.startsWith(':')) lines.push(`-N ${line.slice(1).split(' ', 1)[0]}`);
    if (line.startsWith('-A')) lines.push(line);
  }
  return lines.join('\n');
}

t.test('exempts the sidecar before anything else, then loopback, then what is excluded', async (t) => {
  const options = optionsOf(
    '--exclude-outbound-ports=22,25,22',
    '--exclude-outbound-ranges=10.1.2.3/8,169.254.169.254,FD00::1/8',
    '--exclude-inbound-ports=15020,9090',
  );
  t.same(
    captureRules(options, 4).chains,
    new Map([
      [
        'TULLE_INBOUND',
        [
          '-p tcp -m tcp --dport 15020 -j RETURN',
          '-p tcp -m tcp --dport 9090 -j RETURN',
          '-p tcp -j TULLE_INBOUND_REDIRECT',
        ],
      ],
      ['TULLE_INBOUND_REDIRECT', ['-p tcp -j REDIRECT --to-ports 15006']],
      [
        'TULLE_OUTBOUND',
        [
          '-m owner --uid-owner 1337 -j RETURN',
          '-m owner --gid-owner 1337 -j RETURN',
          '-o lo -j RETURN',
          '-p tcp -m tcp --dport 22 -j RETURN',
          '-p tcp -m tcp --dport 25 -j RETURN',
          '-d 10.0.0.0/8 -j RETURN',
          '-d 169.254.169.254/32 -j RETURN',
          '-p tcp -j TULLE_OUTBOUND_REDIRECT',
        ],
      ],
      ['TULLE_OUTBOUND_REDIRECT', ['-p tcp -j REDIRECT --to-ports 15001']],
    ]),
  );
  t.same(
    captureRules(options, 6)
      .chains.get('TULLE_OUTBOUND')
      ?.filter((rule) => rule.includes('-d ')),
    ['-d fd00::/8 -j RETURN'],
    'each family gets its own ranges',
  );
});

t.test('captures only what is included, when something is', async (t) => {
  const options = optionsOf('--include-outbound-ranges', '10.96.0.0/16,0.0.0.0/0', '--include-inbound-ports', '8080');
  const { chains } = captureRules(options, 4);
  t.same(
    [chains.get('TULLE_OUTBOUND')?.slice(3), chains.get('TULLE_INBOUND')],
    [
      ['-d 10.96.0.0/16 -p tcp -j TULLE_OUTBOUND_REDIRECT', '-p tcp -j TULLE_OUTBOUND_REDIRECT'],
      ['-p tcp -m tcp --dport 15020 -j RETURN', '-p tcp -m tcp --dport 8080 -j TULLE_INBOUND_REDIRECT'],
    ],
  );
});

t.test('says exactly what is missing, foreign, doubled or out of order', async (t) => {
  const rules = captureRules(optionsOf(), 4);
  const whole = listingAfter(applyScript(rules, new Map()));
  t.same(differences(rules, parseListing(whole)), []);
  const broken = whole
    .replace('-A TULLE_OUTBOUND -m owner --uid-owner 1337 -j RETURN\n', '')
    .replace('-A TULLE_INBOUND -p tcp -j TULLE_INBOUND_REDIRECT\n', '-A TULLE_INBOUND -j ACCEPT\n')
    .replace('-N TULLE_OUTBOUND_REDIRECT\n', '')
    .replace(
      '-A OUTPUT -p tcp -j TULLE_OUTBOUND',
      '-A OUTPUT -p tcp -j TULLE_OUTBOUND\n-A OUTPUT -p tcp -j TULLE_OUTBOUND',
    );
  t.same(differences(rules, parseListing(broken)), [
    'TULLE_INBOUND lacks the rule: -p tcp -j TULLE_INBOUND_REDIRECT',
    'TULLE_INBOUND has a rule that does not belong there: -j ACCEPT',
    'TULLE_OUTBOUND lacks the rule: -m owner --uid-owner 1337 -j RETURN',
    'chain TULLE_OUTBOUND_REDIRECT is missing',
    'OUTPUT has the rule 2 times: -p tcp -j TULLE_OUTBOUND',
  ]);
  const lines = whole.split('\n');
  const at = lines.findIndex((line) => line.includes('--uid-owner'));
  const swapped = [...lines.slice(0, at), lines[at + 1], lines[at], ...lines.slice(at + 2)].join('\n');
  t.same(differences(rules, parseListing(swapped)), ['the rules of TULLE_OUTBOUND are in another order or doubled']);
});

t.test('applies over what is there in one script, and removes only what is its own', async (t) => {
  const rules = captureRules(optionsOf(), 4);
  const found = parseListing(
    '-P OUTPUT ACCEPT\n-N KUBE\n-N TULLE_OUTBOUND\n-A OUTPUT -p tcp -j KUBE\n-A OUTPUT -p tcp -j TULLE_OUTBOUND',
  );
  const script = applyScript(rules, found).split('\n');
  t.same(
    script.filter((line) => line.includes('OUTPUT') || line.startsWith(':') || line === '*nat' || line === 'COMMIT'),
    [
      '*nat',
      ':TULLE_INBOUND - [0:0]',
      ':TULLE_INBOUND_REDIRECT - [0:0]',
      ':TULLE_OUTBOUND - [0:0]',
      ':TULLE_OUTBOUND_REDIRECT - [0:0]',
      '-D OUTPUT -p tcp -j TULLE_OUTBOUND',
      '-A OUTPUT -p tcp -j TULLE_OUTBOUND',
      'COMMIT',
    ],
  );
  t.equal(
    removeScript(found),
    '*nat\n-D OUTPUT -p tcp -j TULLE_OUTBOUND\n-F TULLE_OUTBOUND\n-X TULLE_OUTBOUND\nCOMMIT\n',
  );
  t.equal(removeScript(parseListing('-P OUTPUT ACCEPT\n-A OUTPUT -p tcp -j KUBE')), null);
});

t.test('tells all mistakes in the flags together', async (t) => {
  const parsed = parseCaptureFlags([
    'aply',
    '--uid',
    'x',
    '--outbound-port=0',
    '--exclude-outbound-ranges',
    '1.2.3,::/129',
    '--foo',
    '1',
    '--gid',
    '1',
    '--gid',
    '2',
    '--ipv6',
  ]);
  t.same(parsed.ok ? [] : parsed.error.list.map(formatProblem), [
    '"aply" is no command of capture (write apply, remove, check)',
    '--foo: there is no such flag (see capture --help)',
    '--gid: is given twice',
    '--ipv6: needs a value',
    '--uid: "x" is no whole number from 0 to 4294967294',
    '--outbound-port: "0" is no port (write a number from 1 to 65535)',
    '--exclude-outbound-ranges: "1.2.3" is no address range (write as in 10.0.0.0/8 or fd00::/8)',
    '--exclude-outbound-ranges: "::/129" is no address range (write as in 10.0.0.0/8 or fd00::/8)',
  ]);
});

t.test('writes ranges as iptables prints them', async (t) => {
  const written = [
    '10.1.2.3/8',
    '10.1.2.3',
    '0.0.0.0/0',
    '255.255.255.255/31',
    '2001:DB8:0:0:1::/48',
    '::',
    '::ffff:1.2.3.4/128',
    'fe80::1/10',
  ];
  t.same(
    written.map((text) => parseRange(text)?.text),
    [
      '10.0.0.0/8',
      '10.1.2.3/32',
      '0.0.0.0/0',
      '255.255.255.254/31',
      '2001:db8::/48',
      '::/128',
      '::ffff:102:304/128',
      'fe80::/10',
    ],
  );
  t.same(
    ['', '1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4/33', '1.2.3.4/', 'fd00::/x', 'fd00:::', 'g::', 'a.b.c.d'].map(
      parseRange,
    ),
    Array.from({ length: 10 }, () => null),
  );
});
