/**
 * Commands that look into a mesh that runs on this machine: they read `mesh.json` and the admin pages of sidecars and control plane.
 */
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { HOP_METRICS, HopCounter, since } from '../demo/hops.ts';
import { drawTable, hopCells } from '../demo/picture.ts';
import { parseSamples } from '../demo/prometheus.ts';
import { readMeshFile, type RunningMesh, type RunningReplica } from '../run/mesh-file.ts';
import { ask } from './ask.ts';

interface View {
  /** Of the sidecar's admin port. */
  readonly page: string;
  /** The member of the page that is shown; empty: all of it. */
  readonly member: string;
  readonly says: string;
}

/** By the command that shows it. */
const VIEWS: Readonly<Record<string, View>> = {
  routes: { page: 'config_dump', member: 'routes', says: 'the route tables that a sidecar has' },
  endpoints: {
    page: 'clusters',
    member: '',
    says: 'clusters and the state of their endpoints, as a sidecar sees them',
  },
  'config-dump': { page: 'config_dump', member: '', says: 'everything that a sidecar was told, without secrets' },
  certs: { page: 'certs', member: '', says: "a sidecar's certificate and the roots that it trusts" },
};

export function addAdminCommands(program: Command): void {
  for (const [name, view] of Object.entries(VIEWS)) {
    stateOption(program.command(name).description(view.says))
      .argument('<pod>', 'name of the pod, or the beginning of it')
      .action(async (pod: string, { stateDir }: { stateDir: string }) => {
        process.exitCode = await showView(runningMesh(stateDir), pod, view);
      });
  }
  stateOption(program.command('stat').description('who called whom since the sidecars started')).action(
    async ({ stateDir }: { stateDir: string }) => {
      process.exitCode = await showStat(runningMesh(stateDir));
    },
  );
}

function stateOption(command: Command): Command {
  return command.option('--state-dir <dir>', 'state folder of the mesh', '.tulle');
}

/** The mesh that runs with this state folder; throws, for the person who gave it, when none does. */
export function runningMesh(stateDir: string): RunningMesh {
  const mesh = readMeshFile(path.resolve(stateDir));
  if (mesh === null)
    throw new InvalidArgumentError(`no mesh runs with the state folder ${stateDir} (start one with tulle run)`);
  return mesh;
}

async function showView(mesh: RunningMesh, pod: string, view: View): Promise<number> {
  const meshed = mesh.replicas.filter((r) => r.adminAddress !== '');
  const found = meshed.find((r) => r.pod === pod) ?? meshed.find((r) => r.pod.startsWith(pod));
  if (found === undefined) {
    process.stderr.write(`there is no pod ${pod} with a sidecar; there are ${meshed.map((r) => r.pod).join(', ')}\n`);
    return 1;
  }
  const answer = await ask(`http://${found.adminAddress}/${view.page}`, 5000);
  if (answer === null || answer.status !== 200) {
    process.stderr.write(`the sidecar of ${found.pod} does not answer: ${answer?.body.trim() ?? 'no connection'}\n`);
    return 1;
  }
  const page = JSON.parse(answer.body) as Readonly<Record<string, unknown>>;
  process.stdout.write(`${JSON.stringify(view.member === '' ? page : page[view.member], null, 2)}\n`);
  return 0;
}

async function showStat(mesh: RunningMesh): Promise<number> {
  const counter = new HopCounter();
  const silent: RunningReplica[] = [];
  await Promise.all(
    mesh.replicas
      .filter((replica) => replica.metricsAddress !== '')
      .map(async (replica) => {
        const answer = await ask(`http://${replica.metricsAddress}/metrics`);
        if (answer?.status === 200) counter.observe(replica.pod, parseSamples(answer.body, HOP_METRICS));
        else silent.push(replica);
      }),
  );
  const header = ['from', 'to', 'requests', 'success', 'p50', 'p99', 'retries', 'mTLS', 'identity of the peer'];
  const rows = since(new Map(), counter.totals()).map((hop) => hopCells(hop, 1000).with(2, String(hop.requests)));
  process.stdout.write(`${drawTable([header, ...rows]).join('\n')}\n`);
  for (const { pod } of silent) process.stderr.write(`the sidecar of ${pod} does not answer\n`);
  return silent.length === 0 ? 0 : 1;
}
