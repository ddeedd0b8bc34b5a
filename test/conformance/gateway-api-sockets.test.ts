/**
 * The mesh tables of the Gateway API conformance suite once more, as the suite plays them: a control plane on the manifests, a real sidecar
 * beside the client, real sockets on both sides of it; HTTP/1.1 for HTTPRoute, a gRPC client for GRPCRoute.
 */
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import t, { type Test } from 'tap';
import { HeaderList } from '../../proxy/http/headers.ts';
import { startFolderMesh, type FolderMesh } from '../support/folder-mesh.ts';
import { startFolderSidecar, type FolderSidecar } from '../support/folder-sidecar.ts';
import { GrpcAsking } from '../support/grpc-asking.ts';
import { startEchoes, type Echoed } from './echoes.ts';
import { faults, nameOf, type Seen } from './seen.ts';
import { manifestsOf, TABLES, type Case, type Table } from './tables.ts';

/** One request of a case, each time it is called. */
type Ask = (one: Case) => Promise<Seen>;

/** The suite asks 500 times and again when it was off by chance; more requests need no second chance. */
const REQUESTS = 2000;
const TOLERANCE = 0.05;

/** The split of gRPC names a Service that the suite's mesh does not have, with no weight. */
const ABSENT = /BackendNotFound/;

function destinationOf({ request: { host, to = host } }: Case): string {
  return to.includes(':') ? to : `${to}:80`;
}

/** A sidecar for the clients of a namespace, with a port for each destination that they ask. */
async function sidecarIn(t: Test, mesh: FolderMesh, namespace: string, cases: readonly Case[]): Promise<FolderSidecar> {
  const names = new Set(cases.filter(({ from }) => from === namespace).map(destinationOf));
  const sidecar = await startFolderSidecar(
    mesh,
    { namespace, name: 'client-1', owner: 'client', serviceAccount: 'default' },
    { explicitListens: [...names].map((name) => ({ name, address: '127.0.0.1', port: 0 })) },
  );
  t.teardown(() => sidecar.close());
  return sidecar;
}

function seen(status: number, answered: HeaderList, text: string): Seen {
  // Of what the sidecar answers itself, nothing is in JSON.
  const { pod, path, fields } = (text.startsWith('{') ? JSON.parse(text) : { pod: '', path: '', fields: [] }) as Echoed;
  return { status, backend: pod, sent: { path, headers: new HeaderList([...fields]) }, answered };
}

async function askHttp(port: number, agent: Agent, { host, path, headers }: Case['request']): Promise<Seen> {
  const asking = request({ host: '127.0.0.1', port, path, headers: { ...headers, host }, agent });
  asking.end();
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) text += String(chunk);
  const fields = answer.rawHeaders.map((field, i) => (i % 2 === 0 ? field.toLowerCase() : field));
  return seen(answer.statusCode ?? 0, new HeaderList(fields), text);
}

async function askGrpc(asking: GrpcAsking, { path, headers }: Case['request']): Promise<Seen> {
  const { code, text, metadata } = await asking.unary(path, '', headers);
  const fields = Object.entries(metadata).flatMap(([name, value]) => [name, String(value)]);
  return seen(code === 0 ? 200 : 503, new HeaderList(fields), text);
}

/** The mesh of a table at work. */
async function play(t: Test, table: Table, slices: string): Promise<{ mesh: FolderMesh; ask: Ask }> {
  const mesh = await startFolderMesh(t.testdir(), { 'mesh.yaml': manifestsOf(table), 'slices.yaml': slices });
  t.teardown(() => mesh.close());
  const sidecars = new Map<string, FolderSidecar>();
  for (const namespace of new Set(table.cases.map(({ from }) => from)))
    sidecars.set(namespace, await sidecarIn(t, mesh, namespace, table.cases));
  const portOf = (one: Case): number => sidecars.get(one.from)?.port(destinationOf(one)) ?? 0;
  const agent = new Agent({ keepAlive: true, maxSockets: 10 });
  t.teardown(() => agent.destroy());
  if (!isGrpc(table)) return { mesh, ask: (one) => askHttp(portOf(one), agent, one.request) };
  const [first] = table.cases;
  if (first === undefined) throw new Error(`${table.name} has no case`);
  const asking = new GrpcAsking(portOf(first), '127.0.0.1', first.request.host);
  t.teardown(() => asking.close());
  return { mesh, ask: (one) => askGrpc(asking, one.request) };
}

function isGrpc({ manifest }: Table): boolean {
  return manifest.startsWith('grpcroute-');
}

/** Backends that have another share of the requests than the table wants, the suite's tolerance given. */
async function wrongShares({ weights }: Table, ask: () => Promise<Seen>): Promise<string[]> {
  const counts = new Map<string, number>();
  for (let asked = 0; asked < REQUESTS; asked += 10) {
    const answers = await Promise.all(Array.from({ length: 10 }, ask));
    for (const { backend } of answers) counts.set(backend, (counts.get(backend) ?? 0) + 1);
  }
  return [...new Set([...counts.keys(), ...Object.keys(weights)])]
    .filter((name) => Math.abs((counts.get(name) ?? 0) / REQUESTS - (weights[name] ?? 0)) > TOLERANCE)
    .map((name) => `${name} has ${counts.get(name) ?? 0} of ${REQUESTS}, not ${weights[name] ?? 0}`);
}

/** The Service `echo` without a route is both applications. */
function asBackend(one: Case, { backend, ...more }: Seen): Seen {
  return { ...more, backend: one.backend === 'echo' && backend.startsWith('echo-') ? 'echo' : backend };
}

async function holds(t: Test, table: Table, slices: string): Promise<void> {
  const { mesh, ask } = await play(t, table, slices);
  for (const one of table.cases) {
    t.same(faults(one, asBackend(one, await ask(one))), [], nameOf(one));
    if (Object.keys(table.weights).length > 0) t.same(await wrongShares(table, () => ask(one)), [], 'the shares');
  }
  const unexpected = mesh.warnings.filter((warning) => !ABSENT.test(warning));
  t.same(unexpected, [], 'no manifest is refused, no resource either');
}

t.setTimeout(110_000);

for (const [kind, tables] of [
  ['HTTPRoute', TABLES.filter((table) => !isGrpc(table))],
  ['GRPCRoute', TABLES.filter(isGrpc)],
] as const) {
  t.test(`the tables for ${kind} hold through a control plane, a sidecar and sockets`, async (t) => {
    const slices = await startEchoes(t);
    t.not(tables.length, 0);
    for (const table of tables) await t.test(`${table.name} holds`, (t) => holds(t, table, slices));
  });
}
