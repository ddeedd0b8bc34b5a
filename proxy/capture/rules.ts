/**
 * The nat rules that send a pod's TCP traffic through its sidecar, as text. Pure: who runs iptables is `tables.ts`.
 * Rules are written as `iptables -S` prints them, so that what was set and what is found can be compared.
 */
import type { IpRange } from './ip-range.ts';

export interface CaptureOptions {
  /** Traffic of this user and of this group is the sidecar's own and is let through. */
  readonly uid: number;
  readonly gid: number;
  readonly outboundPort: number;
  readonly inboundPort: number;
  /** Null: all ports. */
  readonly includeInboundPorts: readonly number[] | null;
  readonly excludeInboundPorts: readonly number[];
  /** Null: all addresses. */
  readonly includeOutboundRanges: readonly IpRange[] | null;
  readonly excludeOutboundRanges: readonly IpRange[];
  readonly excludeOutboundPorts: readonly number[];
}

/** What one of the two families needs: own chains in full, and the rules that lead to them. */
export interface CaptureRules {
  /** By chain; each rule without its `-A CHAIN`. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly jumps: readonly { readonly from: string; readonly rule: string }[];
}

export const CHAINS = ['TULLE_INBOUND', 'TULLE_INBOUND_REDIRECT', 'TULLE_OUTBOUND', 'TULLE_OUTBOUND_REDIRECT'] as const;

/** The rules of the IPv4 or of the IPv6 table. */
export function captureRules(options: CaptureOptions, family: IpRange['family']): CaptureRules {
  return {
    chains: new Map<string, readonly string[]>([
      ['TULLE_INBOUND', inboundRules(options)],
      ['TULLE_INBOUND_REDIRECT', [`-p tcp -j REDIRECT --to-ports ${options.inboundPort}`]],
      ['TULLE_OUTBOUND', outboundRules(options, family)],
      ['TULLE_OUTBOUND_REDIRECT', [`-p tcp -j REDIRECT --to-ports ${options.outboundPort}`]],
    ]),
    jumps: [
      { from: 'PREROUTING', rule: '-p tcp -j TULLE_INBOUND' },
      { from: 'OUTPUT', rule: '-p tcp -j TULLE_OUTBOUND' },
    ],
  };
}

function inboundRules(options: CaptureOptions): readonly string[] {
  const excluded = options.excludeInboundPorts.map((port) => `-p tcp -m tcp --dport ${port} -j RETURN`);
  const included =
    options.includeInboundPorts === null
      ? ['-p tcp -j TULLE_INBOUND_REDIRECT']
      : options.includeInboundPorts.map((port) => `-p tcp -m tcp --dport ${port} -j TULLE_INBOUND_REDIRECT`);
  return [...excluded, ...included];
}

function outboundRules(options: CaptureOptions, family: IpRange['family']): readonly string[] {
  const own = (range: IpRange): boolean => range.family === family;
  return [
    `-m owner --uid-owner ${options.uid} -j RETURN`,
    `-m owner --gid-owner ${options.gid} -j RETURN`,
    // What the pod says to itself. A Service that happens to lead back here has an address of its own and does not leave by `lo`.
    '-o lo -j RETURN',
    ...options.excludeOutboundPorts.map((port) => `-p tcp -m tcp --dport ${port} -j RETURN`),
    ...options.excludeOutboundRanges.filter(own).map(({ text }) => `${destination(text)}-j RETURN`),
    ...(options.includeOutboundRanges === null
      ? ['-p tcp -j TULLE_OUTBOUND_REDIRECT']
      : options.includeOutboundRanges
          .filter(own)
          .map(({ text }) => `${destination(text)}-p tcp -j TULLE_OUTBOUND_REDIRECT`)),
  ];
}

/** iptables prints no destination for the range of everything. */
function destination(range: string): string {
  return range.endsWith('/0') ? '' : `-d ${range} `;
}

/** What `iptables -t nat -S` said: rules by chain, without `-A CHAIN`. Built-in chains are there too. */
export function parseListing(listing: string): ReadonlyMap<string, readonly string[]> {
  const chains = new Map<string, string[]>();
  for (const line of listing.split('\n')) {
    const [, verb, chain, rule = ''] = /^-([NPA]) (\S+) ?(.*)$/.exec(line) ?? [];
    if (verb === undefined || chain === undefined) continue;
    if (verb === 'A') chains.get(chain)?.push(rule);
    else chains.set(chain, []);
  }
  return chains;
}

/** What differs from the rules, in sentences; empty when all is in place. */
export function differences(rules: CaptureRules, found: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const sentences: string[] = [];
  for (const [chain, wanted] of rules.chains) {
    const present = found.get(chain);
    if (present === undefined) {
      sentences.push(`chain ${chain} is missing`);
      continue;
    }
    const missing = wanted.filter((rule) => !present.includes(rule));
    const foreign = present.filter((rule) => !wanted.includes(rule));
    for (const rule of missing) sentences.push(`${chain} lacks the rule: ${rule}`);
    for (const rule of foreign) sentences.push(`${chain} has a rule that does not belong there: ${rule}`);
    if (missing.length + foreign.length === 0 && present.join('\n') !== wanted.join('\n')) {
      sentences.push(`the rules of ${chain} are in another order or doubled`);
    }
  }
  for (const { from, rule } of rules.jumps) {
    const times = (found.get(from) ?? []).filter((r) => r === rule).length;
    if (times === 0) sentences.push(`${from} lacks the rule: ${rule}`);
    if (times > 1) sentences.push(`${from} has the rule ${times} times: ${rule}`);
  }
  return sentences;
}

/** Input of `iptables-restore --noflush` that puts the rules in force in one step, whatever was there of ours before. */
export function applyScript(rules: CaptureRules, found: ReadonlyMap<string, readonly string[]>): string {
  const lines = ['*nat'];
  // Naming a chain empties it, or makes it.
  for (const chain of rules.chains.keys()) lines.push(`:${chain} - [0:0]`);
  lines.push(...deletions(found));
  for (const [chain, own] of rules.chains) for (const rule of own) lines.push(`-A ${chain} ${rule}`);
  for (const { from, rule } of rules.jumps) lines.push(`-A ${from} ${rule}`);
  return `${[...lines, 'COMMIT'].join('\n')}\n`;
}

/** Input that takes away everything of ours; null when nothing is there. */
export function removeScript(found: ReadonlyMap<string, readonly string[]>): string | null {
  const present = CHAINS.filter((chain) => found.has(chain));
  const jumps = deletions(found);
  if (present.length === 0 && jumps.length === 0) return null;
  const flush = present.map((chain) => `-F ${chain}`);
  const drop = present.map((chain) => `-X ${chain}`);
  return `${['*nat', ...jumps, ...flush, ...drop, 'COMMIT'].join('\n')}\n`;
}

/** One line for each jump from a chain that is not ours to one that is. */
function deletions(found: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const own = new Set<string>(CHAINS);
  return [...found].flatMap(([chain, rules]) =>
    own.has(chain)
      ? []
      : rules.filter((rule) => own.has(/-j (\S+)/.exec(rule)?.[1] ?? '')).map((rule) => `-D ${chain} ${rule}`),
  );
}
