/**
 * Ejections beside Envoy: random outlier settings, endpoints that fail by script, the same control plane. After how many failures an
 * endpoint is left out, that the others then carry everything, and that it comes back, must agree; how it comes back is ours
 * (docs/envoy-differences.md). EJECTIONS_SEED=n begins with another seed.
 */
import { once } from 'node:events';
import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { randomInt, seededRandom } from '#base/random.ts';
import { ENVOY_OUTBOUND_PORT, envoySkip, startEnvoy } from '../../support/envoy.ts';
import { startFolderMesh } from '../../support/folder-mesh.ts';
import { manifestOf, serviceAt } from '../../support/manifests.ts';
import { startSidecar } from '../../support/sidecar.ts';
import { CONTENDERS, type Contender } from './contenders.ts';

t.setTimeout(180_000);
const SEED = Number(process.env['EJECTIONS_SEED'] ?? 1);
const CASES = 24;
const ENDPOINTS = 5;
/** Fewer than half of them: the most that Envoy lets go (docs/envoy-differences.md). */
const MOST_BAD = 2;
/** Enough for each endpoint to fail its ten times. */
const ASKS = 60;
/** Envoy's `update_merge_window`, and a little. */
const MERGE_MS = 1200;
/** Requests that a worker of Envoy may still send to an endpoint until its main thread has told it that this one is out. */
const HANDED_OVER = 2;
/** Longer than a case takes, where it is counted who is out; short where the return is waited for. */
const LONG = '60s';
const SHORT = '1500ms';

interface Case {
  readonly name: string;
  readonly outlier: {
    readonly consecutiveErrors: number;
    readonly consecutiveGatewayErrors: number;
    readonly successRate?: { readonly below: number; readonly minRequests: number };
  };
  /** Status of each endpoint; 200: it is well. */
  readonly statuses: readonly number[];
  /** Failures after which each bad endpoint is out; null: none is. */
  readonly after: number | null;
}

function makeCase(index: number): Case {
  const random = seededRandom(SEED * 1000 + index);
  const dice = (bound: number): number => randomInt(random, bound);
  const status = [500, 502, 503, 504, 404][dice(5)]!;
  const consecutiveErrors = dice(3) === 0 ? 0 : 1 + dice(6);
  const consecutiveGatewayErrors = dice(3) === 0 ? 0 : 1 + dice(6);
  const bad = 1 + dice(MOST_BAD);
  const statuses = Array.from({ length: ENDPOINTS }, (_, i) => (i < bad ? status : 200));
  const counts = [
    ...(status >= 500 && consecutiveErrors > 0 ? [consecutiveErrors] : []),
    ...(status > 500 && consecutiveGatewayErrors > 0 ? [consecutiveGatewayErrors] : []),
  ];
  const after = counts.length === 0 ? null : Math.min(...counts);
  return { name: `case-${index}`, outlier: { consecutiveErrors, consecutiveGatewayErrors }, statuses, after };
}

/** The endpoints of a case: what each answers, and what each contender has asked of each. */
class Backend {
  readonly #servers: Server[] = [];
  readonly asked: Record<Contender, number[]> = { tulle: [], envoy: [] };
  statuses: number[];

  constructor(statuses: readonly number[]) {
    this.statuses = [...statuses];
    this.forget();
  }

  forget(): void {
    for (const contender of CONTENDERS) this.asked[contender] = this.statuses.map(() => 0);
  }

  async open(): Promise<readonly number[]> {
    const ports: number[] = [];
    for (const index of this.statuses.keys()) {
      const server = createServer((asked, answer) => {
        const contender = asked.headers['x-contender'] === 'envoy' ? 'envoy' : 'tulle';
        this.asked[contender][index]!++;
        answer.writeHead(this.statuses[index]!).end();
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      this.#servers.push(server);
      ports.push((server.address() as AddressInfo).port);
    }
    return ports;
  }

  close(): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }
}

function manifest({ name, outlier }: Case, ports: readonly number[], out: string): string {
  const ejection = { base: out, max: out };
  const policy = {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name, namespace: 'default' },
    spec: {
      targetRefs: [{ group: '', kind: 'Service', name }],
      retries: { attempts: 0 },
      loadBalancer: { policy: 'RoundRobin' },
      circuitBreaker: { outlier: { ...outlier, interval: '500ms', ejection, keepEndpoints: ENDPOINTS - MOST_BAD } },
    },
  };
  return manifestOf([...serviceAt(name, ports), policy]);
}

interface Rig {
  readonly backends: ReadonlyMap<string, Backend>;
  ask(contender: Contender, name: string): Promise<number>;
}

/** @param out for how long an ejection lasts */
async function start(t: Test, cases: readonly Case[], out: string): Promise<Rig> {
  const backends = new Map(cases.map(({ name, statuses }) => [name, new Backend(statuses)]));
  const documents: string[] = [];
  for (const one of cases) documents.push(manifest(one, await backends.get(one.name)!.open(), out));
  const folder = t.testdir();
  const mesh = await startFolderMesh(folder, { 'cases.yaml': documents.join('\n---\n') });
  const token = mesh.issueToken({ namespace: 'default', serviceAccount: 'gateway', pod: 'envoy-1' }, 3_600_000);
  const envoy = await startEnvoy(folder, mesh, token, 'DELTA_GRPC');
  const sidecar = await startSidecar(folder, mesh, 'tulle-1');
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  t.teardown(async () => {
    agent.destroy();
    await sidecar.stop();
    await envoy.close();
    await mesh.close();
    for (const backend of backends.values()) backend.close();
  });
  t.same(mesh.warnings, []);
  const ports: Readonly<Record<Contender, number>> = { tulle: sidecar.proxyPort, envoy: ENVOY_OUTBOUND_PORT };
  const ask = (contender: Contender, name: string): Promise<number> =>
    new Promise((resolve) => {
      const headers = { host: `${name}.default:80`, 'x-contender': contender };
      const call = request({ host: '127.0.0.1', port: ports[contender], agent, headers }, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode ?? 0));
      });
      call.on('error', () => resolve(0));
      call.end();
    });
  return { backends, ask };
}

/** One after the other, so that every failure is known before the next request. @param count of requests */
async function spend(rig: Rig, contender: Contender, name: string, count: number): Promise<number> {
  let failures = 0;
  for (let i = 0; i < count; i++) if ((await rig.ask(contender, name)) !== 200) failures++;
  return failures;
}

async function known(rig: Rig, contender: Contender, names: readonly string[]): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (const name of names) {
    const backend = rig.backends.get(name)!;
    while (backend.asked[contender].every((count) => count === 0)) {
      if (Date.now() > deadline) throw new Error(`${contender} does not know ${name}`);
      await rig.ask(contender, name);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

t.test('an endpoint is out after as many failures with Tulle as with Envoy', { skip: envoySkip }, async (t) => {
  const cases = Array.from({ length: CASES }, (_, i) => makeCase(i));
  t.comment(`seed ${SEED}`);
  const rig = await start(t, cases, LONG);
  let ejecting = 0;
  const late: string[] = [];
  for (const { name, statuses, after } of cases) {
    const backend = rig.backends.get(name)!;
    for (const contender of CONTENDERS) {
      await known(rig, contender, [name]);
      await spend(rig, contender, name, ASKS - 1);
    }
    const failed = (contender: Contender): readonly number[] =>
      backend.asked[contender].filter((_, i) => statuses[i] !== 200);
    const told = `${name}: Tulle ${failed('tulle').join(', ')}; Envoy ${failed('envoy').join(', ')}`;
    if (after === null) {
      for (const contender of CONTENDERS) t.ok(Math.min(...failed(contender)) >= 10, `${told}; nobody is out`);
      continue;
    }
    ejecting++;
    t.ok(
      failed('tulle').every((count) => count === after),
      `${told}; after ${after}`,
    );
    // Envoy's main thread tells its workers of the first at once, and of what follows within a second together.
    const first = Math.min(...failed('envoy'));
    t.ok(first >= after && first <= after + HANDED_OVER, `${told}; after ${after}`);
    late.push(name);
  }
  await new Promise((resolve) => setTimeout(resolve, MERGE_MS));
  for (const name of late) {
    for (const contender of CONTENDERS)
      t.equal(await spend(rig, contender, name, 20), 0, `${name}: ${contender}: all are out`);
  }
  t.ok(ejecting > CASES / 3, `${ejecting} of ${CASES} eject`);
});

t.test('an endpoint comes back with both, and gets its share when it is well', { skip: envoySkip }, async (t) => {
  const outlier = { consecutiveErrors: 2, consecutiveGatewayErrors: 0 };
  const one: Case = { name: 'back', outlier, statuses: [503, 200, 200, 200, 200], after: 2 };
  const rig = await start(t, [one], SHORT);
  const backend = rig.backends.get('back')!;
  for (const contender of CONTENDERS) {
    await known(rig, contender, ['back']);
    await spend(rig, contender, 'back', 20);
    t.equal(await spend(rig, contender, 'back', 20), 0, `${contender}: it is out`);
  }
  backend.statuses = [200, 200, 200, 200, 200];
  for (const contender of CONTENDERS) {
    const deadline = Date.now() + 20_000;
    let share = 0;
    while (share < 15 && Date.now() < deadline) {
      backend.forget();
      await spend(rig, contender, 'back', 40);
      share = (100 * backend.asked[contender][0]!) / 40;
    }
    t.ok(share >= 15, `${contender}: ${share} % of the requests go to it again`);
  }
});

t.test('a share of failures ejects with both once the interval is over', { skip: envoySkip }, async (t) => {
  const outlier = { consecutiveErrors: 0, consecutiveGatewayErrors: 0, successRate: { below: 60, minRequests: 5 } };
  const one: Case = { name: 'rate', outlier, statuses: [503, 200, 200, 200, 200], after: null };
  const rig = await start(t, [one], LONG);
  for (const contender of CONTENDERS) {
    await known(rig, contender, ['rate']);
    const deadline = Date.now() + 20_000;
    let failures = 1;
    while (failures > 0 && Date.now() < deadline) failures = await spend(rig, contender, 'rate', 40);
    t.equal(failures, 0, `${contender}: it is out`);
  }
});
