/** `tulle test`: unit tests of traffic policy. Starts nothing: requests are played on a clock of their own. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Streams } from '../explain/command.ts';
import { junitXml } from './junit.ts';
import { runTestFile, type FileResult } from './run.ts';

export interface TestOptions {
  readonly junit: string;
  readonly verbose: boolean;
}

/** Exit code when a file cannot be run. */
const UNREADABLE = 2;

export function addTestCommand(program: Command): void {
  program
    .command('test')
    .description(
      'run unit tests of traffic policy: given manifests and answers, when these requests, then this route, tries, answer',
    )
    .argument('<file...>', 'files of tests')
    .option('--junit <file>', 'write results as JUnit XML', '')
    .option('-v, --verbose', 'name the tests that pass, too', false)
    .action(async (files: readonly string[], options: TestOptions) => {
      process.exitCode = await testCommand(files, options, {
        out: (line) => process.stdout.write(`${line}\n`),
        err: (line) => process.stderr.write(`${line}\n`),
      });
    });
}

/** Exit code: 0 when all pass, 1 when one does not, 2 when a file cannot be run. */
export async function testCommand(
  files: readonly string[],
  { junit, verbose }: TestOptions,
  { out, err }: Streams,
): Promise<number> {
  const all: FileResult[] = [];
  for (const file of files) all.push(await runTestFile(file));
  for (const { file, problems, results } of all) {
    for (const line of problems) err(line);
    if (problems.length > 0) err(`${file} cannot be run`);
    for (const { name, failures } of results) {
      if (failures.length === 0 && verbose) out(`ok      ${name}`);
      if (failures.length > 0) out([`FAILED  ${name}`, ...failures.map((line) => `  ${line}`)].join('\n'));
    }
  }
  if (junit !== '') writeFileSync(junit, junitXml(all));
  const results = all.flatMap((file) => file.results);
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  const tookMs = results.reduce((sum, result) => sum + result.tookMs, 0);
  out(`${results.length - failed} passed, ${failed} failed in ${tookMs.toFixed(0)} ms`);
  if (all.some(({ problems }) => problems.length > 0)) return UNREADABLE;
  return failed === 0 ? 0 : 1;
}
