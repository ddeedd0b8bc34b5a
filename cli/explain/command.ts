/** `tulle explain`: reads manifests and says what would happen to a request. Starts nothing. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { FolderSource } from '../../control-plane/sources/folder.ts';
import type { SourceProblems } from '../../control-plane/sources/source.ts';
import { WorldStore } from '../../control-plane/sources/world-store.ts';
import { problemLines } from '../run/manifests.ts';
import { explain } from './explain.ts';
import { readRequest } from './request.ts';
import { explanationText } from './text.ts';

export interface ExplainOptions {
  readonly filename: readonly string[];
  /** `namespace` or `namespace/workload`. */
  readonly from: string;
  readonly header: readonly string[];
  readonly output: string;
  readonly domain: string;
}

export interface Streams {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('say what would happen to a request: route, policy and who set it, backends, retries, failures')
    .argument('<method>', 'GET, POST, ...')
    .argument('<url>', 'http://reviews.shop:8080/path')
    .requiredOption('-f, --filename <path...>', 'folders or files of manifests')
    .option('--from <workload>', 'NAMESPACE or NAMESPACE/POD that asks', 'default')
    .option('-H, --header <header...>', "header of the request, as in 'x-user: 42'", [])
    .option('-o, --output <form>', 'text or json', 'text')
    .option('--domain <name>', 'cluster domain', 'cluster.local')
    .action(async (method: string, url: string, options: ExplainOptions) => {
      const streams: Streams = {
        out: (line) => process.stdout.write(`${line}\n`),
        err: (line) => process.stderr.write(`${line}\n`),
      };
      process.exitCode = await explainCommand(method, url, options, streams);
    });
}

/** Exit code: 0 when there was something to explain. Problems of the manifests are said, and what is good explained. */
export async function explainCommand(
  method: string,
  url: string,
  { filename, from, header, output, domain }: ExplainOptions,
  { out, err }: Streams,
): Promise<number> {
  const missing = filename.filter((name) => !existsSync(name));
  for (const name of missing) err(`${name} does not exist`);
  if (missing.length > 0) return 1;
  if (output !== 'text' && output !== 'json') {
    err(`${output} is no form of output (write text or json)`);
    return 1;
  }
  const asked = readRequest(method, url, header);
  if (typeof asked === 'string') {
    err(asked);
    return 1;
  }
  const source = new FolderSource({
    roots: filename.map((name) => path.resolve(name)),
    clock: systemClock,
    log: silentLogger,
  });
  const store = new WorldStore();
  let problems: SourceProblems = { list: [], dropped: 0 };
  await source.start(
    (events) => void store.apply(events),
    (found) => (problems = found),
  );
  await source.close();
  for (const line of problemLines(problems)) err(line);
  const [namespace = '', workload = ''] = from.split('/');
  const told = explain(store.world, domain, { namespace, workload }, asked);
  if (typeof told === 'string') {
    err(told);
    return 1;
  }
  out(output === 'json' ? JSON.stringify(told, null, 2) : explanationText(told, shorten));
  return 0;
}

function shorten(file: string): string {
  return path.relative('.', file);
}
