/**
 * Flags of `capture`: which traffic goes through the sidecar. All mistakes are told together. Runs nothing.
 */
import { Problems } from '#base/problems.ts';
import { err, ok, type Result } from '#base/result.ts';
import { parseRange, type IpRange } from './ip-range.ts';
import type { CaptureOptions } from './rules.ts';

export const VERBS = ['apply', 'remove', 'check'] as const;
export type Verb = (typeof VERBS)[number];

export interface CaptureCommand {
  readonly verb: Verb;
  readonly options: CaptureOptions;
  /** `auto`: IPv6 too where the kernel has it. */
  readonly ipv6: 'auto' | 'on' | 'off';
}

interface Flag {
  readonly name: string;
  readonly value: string;
  readonly fallback: string;
  readonly help: string;
}

const FLAGS: readonly Flag[] = [
  { name: 'uid', value: 'NUMBER', fallback: '1337', help: 'user of the sidecar; its traffic is let through' },
  { name: 'gid', value: 'NUMBER', fallback: '1337', help: 'group of the sidecar; its traffic is let through' },
  { name: 'outbound-port', value: 'PORT', fallback: '15001', help: 'where outbound connections are sent' },
  { name: 'inbound-port', value: 'PORT', fallback: '15006', help: 'where inbound connections are sent' },
  { name: 'include-inbound-ports', value: 'PORT,...', fallback: '*', help: 'captured inbound ports; * is all' },
  { name: 'exclude-inbound-ports', value: 'PORT,...', fallback: '15020', help: 'inbound ports let through' },
  { name: 'include-outbound-ranges', value: 'CIDR,...', fallback: '*', help: 'captured destinations; * is all' },
  { name: 'exclude-outbound-ranges', value: 'CIDR,...', fallback: '', help: 'destinations let through' },
  { name: 'exclude-outbound-ports', value: 'PORT,...', fallback: '', help: 'outbound ports let through' },
  { name: 'ipv6', value: 'WHEN', fallback: 'auto', help: 'auto, on or off' },
];

export function captureHelp(): string {
  const lines = FLAGS.map(
    (f) => `  --${`${f.name} ${f.value}`.padEnd(34)} ${f.help}${f.fallback === '' ? '' : ` (${f.fallback})`}`,
  );
  return [`capture ${VERBS.join('|')}: the nat rules that lead a pod's traffic through its sidecar`, ...lines].join(
    '\n',
  );
}

/** The command, or every mistake in `argv`. */
export function parseCaptureFlags(argv: readonly string[]): Result<CaptureCommand, Problems> {
  const problems = new Problems();
  const [verb = '', ...rest] = argv;
  if (!isVerb(verb)) problems.add('', `${JSON.stringify(verb)} is no command of capture`, `write ${VERBS.join(', ')}`);
  const given = readPairs(rest, problems);
  const text = (name: string): string => given.get(name) ?? FLAGS.find((f) => f.name === name)?.fallback ?? '';
  const options: CaptureOptions = {
    uid: numberOf('uid', text('uid'), 4_294_967_294, problems),
    gid: numberOf('gid', text('gid'), 4_294_967_294, problems),
    outboundPort: portOf('outbound-port', text('outbound-port'), problems),
    inboundPort: portOf('inbound-port', text('inbound-port'), problems),
    includeInboundPorts: allOr(text('include-inbound-ports'), (t) => portsOf('include-inbound-ports', t, problems)),
    excludeInboundPorts: portsOf('exclude-inbound-ports', text('exclude-inbound-ports'), problems),
    includeOutboundRanges: allOr(text('include-outbound-ranges'), (t) =>
      rangesOf('include-outbound-ranges', t, problems),
    ),
    excludeOutboundRanges: rangesOf('exclude-outbound-ranges', text('exclude-outbound-ranges'), problems),
    excludeOutboundPorts: portsOf('exclude-outbound-ports', text('exclude-outbound-ports'), problems),
  };
  const ipv6 = text('ipv6');
  if (ipv6 !== 'auto' && ipv6 !== 'on' && ipv6 !== 'off') problems.add('--ipv6', 'must be auto, on or off');
  if (!problems.isEmpty || !isVerb(verb)) return err(problems);
  return ok({ verb, options, ipv6: ipv6 as CaptureCommand['ipv6'] });
}

function isVerb(text: string): text is Verb {
  return VERBS.some((verb) => verb === text);
}

/** `--name value` and `--name=value`. */
function readPairs(argv: readonly string[], problems: Problems): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    const equals = word.indexOf('=');
    const flag = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? argv[++i] : word.slice(equals + 1);
    if (!FLAGS.some((f) => `--${f.name}` === flag)) problems.add(flag, 'there is no such flag', 'see capture --help');
    else if (value === undefined) problems.add(flag, 'needs a value');
    else if (given.has(flag.slice(2))) problems.add(flag, 'is given twice');
    else given.set(flag.slice(2), value);
  }
  return given;
}

function numberOf(name: string, text: string, max: number, problems: Problems): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  problems.add(`--${name}`, `${JSON.stringify(text)} is no whole number from 0 to ${max}`);
  return 0;
}

function portOf(name: string, text: string, problems: Problems): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= 65_535) return value;
  problems.add(`--${name}`, `${JSON.stringify(text)} is no port`, 'write a number from 1 to 65535');
  return 0;
}

function words(text: string): readonly string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

function portsOf(name: string, text: string, problems: Problems): readonly number[] {
  return [...new Set(words(text).map((word) => portOf(name, word, problems)))];
}

function rangesOf(name: string, text: string, problems: Problems): readonly IpRange[] {
  const ranges = new Map<string, IpRange>();
  for (const word of words(text)) {
    const range = parseRange(word);
    if (range === null)
      problems.add(`--${name}`, `${JSON.stringify(word)} is no address range`, 'write as in 10.0.0.0/8 or fd00::/8');
    else ranges.set(range.text, range);
  }
  return [...ranges.values()];
}

function allOr<T>(text: string, parse: (text: string) => T): T | null {
  return text === '*' ? null : parse(text);
}
