#!/usr/bin/env node
/**
 * `tulle`: the command line. Says which commands there are and hands over; what they do stands in their folders.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration, DURATION_ADVICE } from '#base/duration.ts';
import { addAdminCommands, runningMesh } from './admin/commands.ts';
import { detectionsOf } from './check-protocols.ts';
import { check } from './check.ts';
import { demoCommand } from './demo/command.ts';
import { addExplainCommand } from './explain/command.ts';
import { addPlanCommand } from './plan/command.ts';
import { addTestCommand } from './test/command.ts';
import { runCommand } from './run/command.ts';

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError(DURATION_ADVICE);
  return ms;
}

function count(text: string): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (value < 1) throw new InvalidArgumentError('write a whole number from 1');
  return value;
}

/** Options of everything that runs a mesh here. */
function addRunOptions(command: Command): Command {
  return command
    .option(
      '--netns',
      'as root on Linux: each replica in its own network namespace, traffic captured by iptables',
      false,
    )
    .option('--state-dir <dir>', 'keys, tokens and objects of the mesh', '.tulle')
    .option('--log <dir>', 'output of the processes; default: logs in the state folder')
    .option('--domain <name>', 'cluster domain: last part of service names', 'cluster.local')
    .option('--trust-domain <name>', 'SPIFFE trust domain', 'cluster.local')
    .addOption(
      new Option('--leaf-ttl <duration>', "life of the workloads' certificates")
        .argParser(duration)
        .default(86_400_000, '24h'),
    );
}

const program = new Command('tulle')
  .description(
    'A lightweight service mesh: on this machine from a folder of manifests, or beside the pods of a cluster.',
  )
  .showHelpAfterError();

addRunOptions(
  program
    .command('run')
    .description('run the workloads of a folder of manifests as local processes, each with its sidecar'),
)
  .argument('<folder>', 'folder of manifests')
  .action(async (folder: string, options) => {
    process.exitCode = await runCommand(folder, options);
  });

addRunOptions(program.command('demo').description('run an example mesh under load and show what happens in it'))
  .argument('[folder]', 'folder of manifests; default: a copy of examples/shop')
  .addOption(new Option('--duration <duration>', 'end by itself after this time').argParser(duration))
  .addOption(new Option('--rps <number>', 'requests a second').argParser(count).default(200))
  .option('--front <service>', 'NAMESPACE/NAME of the Service under load; default: frontend', '')
  .option('--path <paths...>', 'what is asked for, in turn; default: three products of the shop')
  .action(async (folder: string | undefined, options) => {
    process.exitCode = await demoCommand(folder, options);
  });

program
  .command('check')
  .description('say what is wrong with a folder of manifests, and the status of its routes and policies')
  .argument('<folder>', 'folder of manifests')
  .option('--domain <name>', 'cluster domain', 'cluster.local')
  .option('--running [state-dir]', 'ask the mesh that runs with this state folder (.tulle) what undeclared ports carry')
  .action(async (folder: string, { domain, running }: { domain: string; running?: string | true }) => {
    const detections =
      running === undefined ? undefined : await detectionsOf(runningMesh(running === true ? '.tulle' : running));
    process.exitCode = await check(folder, domain, (line) => process.stdout.write(`${line}\n`), detections);
  });

addExplainCommand(program);
addPlanCommand(program);
addTestCommand(program);
addAdminCommands(program);

void program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
