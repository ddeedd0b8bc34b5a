/**
 * The control plane as a process: flags in, exit code out.
 * Everything that it does is in control-plane.ts, so that others can run it within their own process.
 */
import { Command, CommanderError } from 'commander';
import { systemClock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import { formatProblems } from '#base/problems.ts';
import { startControlPlane } from './control-plane.ts';
import { OPTION_HELP, readSettings } from './settings.ts';
import type { GivenFlags, Settings } from './settings.ts';

/** EX_USAGE of sysexits.h: the command was used incorrectly. */
const EXIT_USAGE = 64;
/** Time to close everything before the process ends anyway. */
const CLOSE_MS = 5000;

/** Flags by name; null when the help was asked for, and words that are no flag. */
function readFlags(argv: readonly string[]): { flags: GivenFlags; unknown: readonly string[] } | null {
  const command = new Command('tulle-control-plane')
    .description('Compiles manifests and serves them to sidecars, Envoy and proxyless gRPC over xDS.')
    .allowUnknownOption()
    .allowExcessArguments()
    .exitOverride();
  for (const { flag, value, help, fallback, repeatable } of OPTION_HELP) {
    const note = repeatable
      ? ' (repeatable)'
      : fallback === undefined
        ? ' (required)'
        : fallback === ''
          ? ''
          : ` (${fallback})`;
    command.option<string[] | undefined>(`--${flag} <${value}>`, help + note, collect);
  }
  try {
    command.parse(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return null;
    // Commander has printed the sentence already.
    process.exit(EXIT_USAGE);
  }
  const values: Record<string, string[]> = command.opts();
  const flags = Object.fromEntries(OPTION_HELP.map(({ flag }) => [flag, values[camelCase(flag)] ?? []]));
  return { flags, unknown: command.args };
}

function collect(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text];
}

function camelCase(flag: string): string {
  return flag.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

async function run(settings: Settings): Promise<void> {
  const log = createLogger({
    level: settings.logLevel,
    format: settings.logFormat,
    write: (line) => void process.stderr.write(line),
    wall: () => systemClock.wall(),
  });
  const controlPlane = await startControlPlane(settings, { clock: systemClock, log });
  const stop = (signal: string): void => {
    log.info('stopping', { signal });
    systemClock.after(CLOSE_MS, () => process.exit(1));
    void controlPlane.close().then(() => process.exit(0));
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop(signal));
}

async function main(): Promise<void> {
  const given = readFlags(process.argv.slice(2));
  if (given === null) return;
  const settings = readSettings(given.flags, process.env);
  const lines = given.unknown.map((word) => `${word}: is no option; see --help`);
  if (!settings.ok) lines.push(formatProblems(settings.error));
  if (!settings.ok || lines.length > 0) {
    process.stderr.write(`${lines.join('\n')}\n`);
    process.exitCode = EXIT_USAGE;
    return;
  }
  await run(settings.value);
}

void main().catch((error: unknown) => {
  process.stderr.write(`the control plane cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
