/**
 * `tulle explain`: says what would happen to a request, from manifests or in a mesh that runs; or what did happen, by its id.
 * Starts nothing.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { WorldStore } from '../../control-plane/sources/world-store.ts';
import { problemLines } from '../run/manifests.ts';
import { readManifests } from '../world.ts';
import { explain, type From, type LiveClusters } from './explain.ts';
import { liveClusters, meshOf, witnessesOf } from './live.ts';
import { recollect, type Witness } from './happened.ts';
import { listText, storyText } from './happened-text.ts';
import { readRequest } from './request.ts';
import { explanationText } from './text.ts';

export interface ExplainOptions {
  /** Empty: the mesh that runs with `stateDir`. */
  readonly filename: readonly string[];
  /** `namespace` or `namespace/workload`. */
  readonly from: string;
  readonly header: readonly string[];
  readonly output: string;
  readonly domain: string;
  readonly stateDir: string;
}

export interface HappenedOptions {
  readonly output: string;
  readonly stateDir: string;
  /** Admin ports of sidecars to ask; empty: all of the mesh that runs with `stateDir`. */
  readonly admin: readonly string[];
}

export interface Streams {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

const STREAMS: Streams = {
  out: (line) => process.stdout.write(`${line}\n`),
  err: (line) => process.stderr.write(`${line}\n`),
};

export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description(
      'say what would happen to a request: route, policy and who set it, backends, retries, failures; or what did',
    )
    .argument('[method]', 'GET, POST, ...')
    .argument('[url]', 'http://reviews.shop:8080/path')
    .option('-f, --filename <path...>', 'folders or files of manifests; without: the mesh that runs', [])
    .option('--from <workload>', 'NAMESPACE or NAMESPACE/POD that asks', 'default')
    .option('-H, --header <header...>', "header of the request, as in 'x-user: 42'", [])
    .option('--request-id <id>', 'say what did happen to the request of this id, or of this trace id')
    .option('--admin <address...>', 'with --request-id: admin ports (ADDRESS:PORT) of sidecars to ask', [])
    .option('-o, --output <form>', 'text or json', 'text')
    .option('--domain <name>', 'cluster domain', 'cluster.local')
    .option('--state-dir <dir>', 'state folder of the mesh that runs', '.tulle')
    .action(
      async (
        method: string | undefined,
        url: string | undefined,
        options: ExplainOptions & HappenedOptions & { readonly requestId?: string },
      ) => {
        const { requestId } = options;
        if (requestId !== undefined && method === undefined)
          process.exitCode = await happened(requestId, options, STREAMS);
        else if (requestId === undefined && method !== undefined && url !== undefined)
          process.exitCode = await explainCommand(method, url, options, STREAMS);
        else {
          STREAMS.err('write METHOD and URL, or --request-id ID');
          process.exitCode = 1;
        }
      },
    );
  program
    .command('requests')
    .description('the requests that went wrong, were tried again or were slow lately, with their ids')
    .option('--admin <address...>', 'admin ports (ADDRESS:PORT) of sidecars to ask', [])
    .option('-o, --output <form>', 'text or json', 'text')
    .option('--state-dir <dir>', 'state folder of the mesh that runs', '.tulle')
    .action(async (options: HappenedOptions) => {
      process.exitCode = await happened('', options, STREAMS);
    });
}

/** Exit code: 0 when there was something to explain. Problems of the manifests are said, and what is good explained. */
export async function explainCommand(
  method: string,
  url: string,
  { filename, from, header, output, domain, stateDir }: ExplainOptions,
  { out, err }: Streams,
): Promise<number> {
  const isRunning = filename.length === 0;
  const mesh = isRunning ? meshOf(stateDir) : null;
  if (typeof mesh === 'string') return failed(err, `${mesh}, or name manifests with -f`);
  const folders = mesh === null ? filename : mesh.folders;
  const missing = folders.filter((name) => !existsSync(name));
  for (const name of missing) err(`${name} does not exist`);
  if (missing.length > 0 || !isForm(output, err)) return 1;
  const asked = readRequest(method, url, header);
  if (typeof asked === 'string') return failed(err, asked);
  const { events, problems } = await readManifests(folders);
  const store = new WorldStore();
  store.apply(events);
  for (const line of problemLines(problems)) err(line);
  const [namespace = '', workload = ''] = from.split('/');
  const who: From = { namespace, workload };
  const live: LiveClusters | string = mesh === null ? new Map() : await liveClusters(mesh, who);
  if (typeof live === 'string') return failed(err, live);
  const told = explain(store.world, mesh?.clusterDomain ?? domain, who, asked, live);
  if (typeof told === 'string') return failed(err, told);
  out(output === 'json' ? JSON.stringify(told, null, 2) : explanationText(told, shorten));
  return 0;
}

/** Exit code: 0 when somebody remembers it. @param id empty: all that is notable */
export async function happened(
  id: string,
  { output, stateDir, admin }: HappenedOptions,
  { out, err }: Streams,
): Promise<number> {
  if (!isForm(output, err)) return 1;
  const found: readonly Witness[] | string =
    admin.length > 0 ? admin.map((address) => ({ name: address, adminAddress: address })) : witnessesOf(stateDir);
  if (typeof found === 'string') return failed(err, `${found}, or name sidecars with --admin`);
  const { sightings, silent } = await recollect(found, id);
  for (const name of silent) err(`the sidecar of ${name} does not answer`);
  if (output === 'json') out(JSON.stringify(sightings, null, 2));
  else if (sightings.length === 0) err(id === '' ? 'nothing went wrong lately' : nobody(id));
  else out(id === '' ? listText(sightings) : storyText(sightings));
  return sightings.length === 0 && id !== '' ? 1 : 0;
}

function nobody(id: string): string {
  return `no sidecar remembers ${id}: each keeps the last 256 requests, and the last 256 that went wrong, were tried again or were slow (tulle requests)`;
}

function isForm(output: string, err: Streams['err']): boolean {
  if (output === 'text' || output === 'json') return true;
  err(`${output} is no form of output (write text or json)`);
  return false;
}

function failed(err: Streams['err'], why: string): number {
  err(why);
  return 1;
}

function shorten(file: string): string {
  return path.relative('.', file);
}
