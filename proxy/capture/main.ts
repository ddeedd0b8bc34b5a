/**
 * `capture apply|remove|check`: puts a pod's capture rules in force, takes them away, or says what is missing.
 * Applying twice is applying once. Needs CAP_NET_ADMIN in the network namespace of the pod; iptables does the work.
 */
import { existsSync } from 'node:fs';
import { formatProblems } from '#base/problems.ts';
import { captureHelp, parseCaptureFlags, type CaptureCommand } from './flags.ts';
import type { IpRange } from './ip-range.ts';
import { applyScript, captureRules, differences, removeScript } from './rules.ts';
import { natTable, type NatTable } from './tables.ts';

/** Runs the command; the exit code. 0: done, or all in place; 1: something is missing or failed; 2: wrong flags. */
export async function runCapture(argv: readonly string[], write: (line: string) => void): Promise<number> {
  if (argv.includes('--help')) {
    write(captureHelp());
    return 0;
  }
  const parsed = parseCaptureFlags(argv);
  if (!parsed.ok) {
    write(formatProblems(parsed.error));
    return 2;
  }
  let code = 0;
  for (const family of familiesOf(parsed.value)) {
    const complaints = await runFamily(parsed.value, family, natTable(family));
    for (const complaint of complaints) write(`IPv${family}: ${complaint}`);
    if (complaints.length > 0) code = 1;
  }
  return code;
}

function familiesOf({ ipv6 }: CaptureCommand): readonly IpRange['family'][] {
  const kernelHasIpv6 = existsSync('/proc/net/if_inet6');
  return ipv6 === 'on' || (ipv6 === 'auto' && kernelHasIpv6) ? [4, 6] : [4];
}

/** What went wrong or is missing; empty when all is well. */
async function runFamily(
  command: CaptureCommand,
  family: IpRange['family'],
  table: NatTable,
): Promise<readonly string[]> {
  const found = await table.list();
  if (!found.ok) return [found.error];
  const rules = captureRules(command.options, family);
  const missing = differences(rules, found.value);
  switch (command.verb) {
    case 'check':
      return missing;
    case 'remove':
      return restore(table, removeScript(found.value));
    case 'apply': {
      if (missing.length === 0) return [];
      const failed = await restore(table, applyScript(rules, found.value));
      if (failed.length > 0) return failed;
      const after = await table.list();
      return after.ok ? differences(rules, after.value) : [after.error];
    }
  }
}

async function restore(table: NatTable, script: string | null): Promise<readonly string[]> {
  if (script === null) return [];
  const restored = await table.restore(script);
  return restored.ok ? [] : [restored.error];
}
