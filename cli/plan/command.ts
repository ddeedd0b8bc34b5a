/** `tulle plan`: says what a change would do, before it is applied. Starts nothing and changes nothing. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { ResourceType } from '#api/names.ts';
import { KINDS } from '../../control-plane/kinds/meta.ts';
import { idOf } from '../../control-plane/sources/manifest-file.ts';
import type { SourceProblems } from '../../control-plane/sources/source.ts';
import type { ObjectEvent } from '../../control-plane/sources/world.ts';
import { WorldStore } from '../../control-plane/sources/world-store.ts';
import { ask } from '../admin/ask.ts';
import type { Streams } from '../explain/command.ts';
import { meshOf } from '../explain/live.ts';
import { problemLines } from '../run/manifests.ts';
import type { RunningMesh } from '../run/mesh-file.ts';
import { readManifests } from '../world.ts';
import { planChange, type ChangePlan } from './plan.ts';
import type { Subscriber } from './sidecars.ts';
import { planText } from './text.ts';

export interface PlanOptions {
  readonly filename: readonly string[];
  readonly delete: readonly string[];
  readonly output: string;
  readonly domain: string;
  readonly stateDir: string;
  readonly maxSidecars?: number;
  readonly maxServices?: number;
}

/** Exit code when the change reaches further than it may. */
const TOO_FAR = 3;

export function addPlanCommand(program: Command): void {
  program
    .command('plan')
    .description('say what changes for whom if manifests were applied: objects, routes, policies, endpoints, sidecars')
    .argument('[folder]', 'what there is: a folder of manifests; without: the mesh that runs')
    .option('-f, --filename <path>', 'what is to be applied: a folder or file; may be repeated', collect, [])
    .option(
      '--delete <object>',
      'what is to be deleted, as in TrafficPolicy/shop/reviews; may be repeated',
      collect,
      [],
    )
    .option('-o, --output <form>', 'text or json', 'text')
    .option('--max-sidecars <number>', `exit with ${TOO_FAR} when more sidecars are told something new`, count)
    .option('--max-services <number>', `exit with ${TOO_FAR} when more ports of Services change`, count)
    .option('--domain <name>', 'cluster domain', 'cluster.local')
    .option('--state-dir <dir>', 'state folder of the mesh that runs', '.tulle')
    .action(async (folder: string | undefined, options: PlanOptions) => {
      process.exitCode = await planCommand(folder, options, {
        out: (line) => process.stdout.write(`${line}\n`),
        err: (line) => process.stderr.write(`${line}\n`),
      });
    });
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('write a number from 0');
  return Number(text);
}

/** Exit code: 0; 1 when something cannot be read or is wrong in what is to be applied; 3 when the change reaches too far. */
export async function planCommand(
  folder: string | undefined,
  options: PlanOptions,
  { out, err }: Streams,
): Promise<number> {
  const { filename, output, domain, stateDir } = options;
  const fail = (why: string): number => {
    err(why);
    return 1;
  };
  if (output !== 'text' && output !== 'json') return fail(`${output} is no form of output (write text or json)`);
  const deletions = readDeletions(options.delete);
  if (typeof deletions === 'string') return fail(deletions);
  if (filename.length + deletions.length === 0)
    return fail('name what is to be applied with -f, or deleted with --delete');
  const mesh = folder === undefined ? meshOf(stateDir) : null;
  if (typeof mesh === 'string') return fail(`${mesh}, or name a folder of what there is`);
  const folders = mesh?.folders ?? [folder ?? ''];
  const missing = [...folders, ...filename].filter((name) => !existsSync(name));
  if (missing.length > 0) return fail(missing.map((name) => `${name} does not exist`).join('\n'));

  const base = await readManifests(folders);
  const next = await readManifests(filename);
  for (const line of problemLines(next.problems)) err(line);
  if (next.problems.list.length > 0) return fail('nothing is planned with manifests that are wrong');
  const wrong = stillWrong(base.problems, [...next.events, ...deletions]);
  for (const line of problemLines(wrong)) err(line);
  const store = new WorldStore();
  store.apply(base.events);
  const world = store.world;
  const unknown = deletions.filter((event) => !store.apply([event]));
  if (unknown.length > 0) return fail(unknown.map((e) => `there is no ${e.kind} ${e.key} to delete`).join('\n'));

  const subscribers = mesh === null ? null : await subscribersOf(mesh);
  if (typeof subscribers === 'string') return fail(subscribers);
  const plan = planChange(world, [...next.events, ...deletions], mesh?.clusterDomain ?? domain, subscribers);
  out(output === 'json' ? JSON.stringify(plan, null, 2) : planText(plan, (file) => path.relative('.', file)));
  const tooFar = reachesTooFar(plan, options, err);
  if (wrong.list.length + wrong.dropped > 0)
    return fail('what there is has problems: the plan counts only what is good');
  return tooFar ? TOO_FAR : 0;
}

/** What is wrong with what there is, and would be so afterwards. */
function stillWrong({ list, dropped }: SourceProblems, events: readonly ObjectEvent[]): SourceProblems {
  const replaced = new Set(events.map((e) => (e.type === 'set' ? idOf(e.object) : `${e.kind} ${e.key}`)));
  return { list: list.filter(({ object }) => !replaced.has(object)), dropped };
}

function reachesTooFar(
  { sidecars, ports }: ChangePlan,
  { maxSidecars = Infinity, maxServices = Infinity }: PlanOptions,
  err: Streams['err'],
): boolean {
  const told = sidecars.told.length;
  const breaches = [
    ...(told > maxSidecars ? [`${told} sidecars, at most ${maxSidecars}`] : []),
    ...(ports.length > maxServices ? [`${ports.length} ports of Services, at most ${maxServices}`] : []),
  ];
  for (const line of breaches) err(`reaches too far: ${line}`);
  return breaches.length > 0;
}

type Deletion = Extract<ObjectEvent, { type: 'delete' }>;

function readDeletions(texts: readonly string[]): readonly Deletion[] | string {
  const deletions: Deletion[] = [];
  for (const text of texts) {
    const [kind = '', ...key] = text.split('/');
    const known = KINDS.find((one) => one === kind);
    if (known === undefined || key.length > 2) return `${text} names no object (write TrafficPolicy/shop/reviews)`;
    deletions.push({ type: 'delete', kind: known, key: key.join('/') });
  }
  return deletions;
}

interface ClientPage {
  readonly id: string;
  readonly namespace: string;
  readonly workload: string | null;
  readonly dialect: 'sidecar' | 'envoy' | 'grpc';
  readonly subscriptions: readonly {
    readonly type: ResourceType;
    readonly held: readonly { readonly name: string }[];
    readonly absent: readonly string[];
  }[];
}

async function subscribersOf({ controlPlane }: RunningMesh): Promise<readonly Subscriber[] | string> {
  const answer = await ask(`http://${controlPlane.adminAddress}/debug/clients`, 5000);
  if (answer?.status !== 200) return 'the control plane of the mesh does not answer';
  return (JSON.parse(answer.body) as readonly ClientPage[]).map(
    ({ id, namespace, workload, dialect, subscriptions }) => ({
      name: workload ?? id,
      client: { namespace, workload, dialect },
      names: subscriptions.flatMap(({ type, held, absent }) =>
        [...held.map(({ name }) => name), ...absent].map((name) => [type, name] as const),
      ),
    }),
  );
}
