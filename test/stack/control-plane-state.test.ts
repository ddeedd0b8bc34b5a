/**
 * From what sources report to the mesh in force, on a clock that the test moves; and the certificates that a control plane keeps fresh.
 */
import { X509Certificate } from 'node:crypto';
import { setImmediate } from 'node:timers';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { TYPE } from '#api/names.ts';
import type { ResourceType } from '#api/names.ts';
import { FakeClock } from '#base/fake-clock.ts';
import { silentLogger } from '#base/log.ts';
import type { Logger } from '#base/log.ts';
import { AuthorityUpkeep } from '../../control-plane/authority-upkeep.ts';
import { MeshProvider } from '../../control-plane/mesh-provider.ts';
import { MeshState } from '../../control-plane/mesh-state.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';
import { DeltaSubscription } from '../../control-plane/serve/delta-subscription.ts';
import type { Lookup } from '../../control-plane/serve/provider.ts';
import { SotwSubscription } from '../../control-plane/serve/sotw-subscription.ts';
import type { Source, SourceProblems } from '../../control-plane/sources/source.ts';
import type { ObjectEvent } from '../../control-plane/sources/world.ts';
import { readSettings } from '../../control-plane/settings.ts';
import { objectsOf } from '../support/manifests.ts';

const DAY_MS = 86_400_000;

/** A source that reports what the test says. */
class PlayedSource implements Source {
  batch: (events: readonly ObjectEvent[]) => void = () => undefined;
  problems: (problems: SourceProblems) => void = () => undefined;
  synced: () => void = () => undefined;

  start(onBatch: typeof this.batch, onProblems: typeof this.problems): Promise<void> {
    this.batch = onBatch;
    this.problems = onProblems;
    return new Promise((resolve) => {
      this.synced = resolve;
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  set(yaml: string): void {
    this.batch(objectsOf(yaml, 'mesh.yaml').map((object) => ({ type: 'set', object })));
  }
}

function service(name: string): string {
  return `{ apiVersion: v1, kind: Service, metadata: { name: ${name}, namespace: a }, spec: { ports: [{ port: 80 }] } }`;
}

function route(backend: string): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: a }
spec:
  parentRefs: [{ group: "", kind: Service, name: x }]
  rules: [{ backendRefs: [{ name: ${backend}, port: 80 }] }]
`;
}

function recorder(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const note =
    (level: string): Logger['info'] =>
    (message, fields = {}) =>
      void lines.push(`${level} ${message} ${String(fields['place'] ?? '')}`.trim());
  return { lines, log: { ...silentLogger, info: note('info'), warn: note('warn'), error: note('error') } };
}

function playedState(onMesh: (mesh: Mesh) => void = () => undefined) {
  const [first, second] = [new PlayedSource(), new PlayedSource()];
  const clock = new FakeClock();
  const { log, lines } = recorder();
  const changes: string[] = [];
  const state = new MeshState({
    sources: [first, second],
    compile: { trustDomain: 'td', clusterDomain: 'cluster.local', defaultMtlsMode: 'PERMISSIVE' },
    clusterIpRange: null,
    clock,
    log,
    onChange: ({ mesh }) => {
      changes.push([...mesh.services.keys()].join(' '));
      onMesh(mesh);
    },
    onCompiled: () => undefined,
  });
  return { first, second, clock, lines, changes, state };
}

t.test('nobody hears of a mesh before every source has said everything', async (t) => {
  const { first, second, clock, changes, state } = playedState();
  const started = state.start();
  first.set(service('x'));
  first.synced();
  clock.advance(10_000);
  t.same([changes, state.isSynced], [[], false]);
  second.set(service('y'));
  second.synced();
  await started;
  t.same([changes, state.isSynced], [['a/x a/y'], true]);
});

t.test('changes close together are one, but none waits longer than half a second', async (t) => {
  const { first, second, clock, changes, state } = playedState();
  const started = state.start();
  first.synced();
  second.synced();
  await started;
  first.set(service('x'));
  clock.advance(20);
  first.set(service('y'));
  clock.advance(29);
  t.same(changes, []);
  clock.advance(1);
  t.same(changes, ['a/x a/y']);
  for (let i = 0; i < 50; i++) {
    first.set(service(`s${i}`));
    clock.advance(20);
  }
  t.equal(changes.length, 3, 'a second without a pause');
  first.batch([]);
  clock.advance(1000);
  const before = changes.length;
  first.set(service('x'));
  clock.advance(1000);
  t.equal(changes.length, before, 'what means the same is no change');
  await state.close();
});

t.test('a defect costs the start, and later only the change that meets it', async (t) => {
  const [object] = objectsOf(service('x'));
  const defect = [{ type: 'set', object: { ...object, spec: null } as never }] as const;
  const broken = playedState();
  const refused = broken.state.start();
  broken.first.batch(defect);
  broken.first.synced();
  broken.second.synced();
  await t.rejects(refused, TypeError, 'nobody is told of an empty mesh');
  t.same([broken.changes, broken.state.isSynced], [[], false]);

  const { first, second, clock, changes, lines, state } = playedState();
  const started = state.start();
  first.set(service('y'));
  first.synced();
  second.synced();
  await started;
  first.batch(defect);
  clock.advance(1000);
  t.match([lines, changes], [[/^error the manifests could not be compiled/], ['a/y']]);
  first.set(service('x'));
  clock.advance(1000);
  t.same(changes, ['a/y', 'a/y a/x']);
});

t.test('problems are logged when they come, and when all are gone', async (t) => {
  const { first, second, lines, state } = playedState();
  const started = state.start();
  const problem = {
    object: '',
    path: 'spec.x',
    reason: 'is wrong',
    advice: '',
    place: { file: 'f.yaml', line: 3, column: 1 },
  };
  first.problems({ list: [problem], dropped: 0 });
  first.problems({ list: [problem, { ...problem, path: 'spec.y' }], dropped: 1 });
  t.equal(state.problems.length, 2);
  first.problems({ list: [], dropped: 0 });
  first.synced();
  second.synced();
  await started;
  t.same(lines, [
    'warn f.yaml:3:1: spec.x: is wrong',
    'warn f.yaml:3:1: spec.y: is wrong',
    'warn and 1 more problems',
    'info all manifests are in order again',
  ]);
});

t.test('bad news about an object is logged once with its place, and when it is over', async (t) => {
  const { first, second, clock, lines, state } = playedState();
  const started = state.start();
  first.set(`${service('x')}\n---${route('nowhere')}`);
  first.synced();
  second.synced();
  await started;
  t.match(lines, [/^warn mesh\.yaml:\d+:\d+: HTTPRoute .*ResolvedRefs=False BackendNotFound/]);
  first.set(service('y'));
  clock.advance(1000);
  t.equal(lines.length, 1);
  first.set(route('x'));
  clock.advance(1000);
  t.match(lines.slice(1), [/^info mesh\.yaml:\d+:\d+: HTTPRoute .*ResolvedRefs=True/]);
});

t.test('issuer and server certificate are renewed while running', async (t) => {
  const settings = readSettings({ folder: ['x'], 'state-dir': [t.testdir()], 'server-name': ['mesh.example'] }, {});
  if (!settings.ok) throw new Error('settings');
  const clock = new FakeClock();
  const { log, lines } = recorder();
  const upkeep = new AuthorityUpkeep(settings.value, clock);
  const served = (): X509Certificate =>
    new X509Certificate(String(upkeep.credentials._getSecureContextOptions()?.cert));
  const first = served();
  t.same(
    ['localhost', 'tulle-control-plane.tulle-system.svc', 'mesh.example'].map((name) => first.checkHost(name) ?? null),
    ['localhost', 'tulle-control-plane.tulle-system.svc', 'mesh.example'],
  );
  const stop = upkeep.start(log);
  clock.advance(DAY_MS);
  t.same(served().raw, first.raw);
  clock.advance(21 * DAY_MS);
  t.notSame(served().raw, first.raw, 'two thirds of 30 days');
  const issuer = upkeep.authority.issuer.raw;
  for (let day = 0; day < 230; day++) clock.advance(DAY_MS);
  t.notSame(upkeep.authority.issuer.raw, issuer);
  t.ok(served().verify(upkeep.authority.issuer.publicKey));
  t.match(lines, [/^info a new issuer is in force/]);
  t.same(
    new AuthorityUpkeep(settings.value, clock).authority.issuer.raw,
    upkeep.authority.issuer.raw,
    'and it was kept',
  );
  stop();
  t.equal(clock.size, 0);
});

/** Follows everything of some types as a client would, and refuses every seventh response. */
class Follower {
  readonly #provider: MeshProvider;
  readonly #subscriptions = [TYPE.cluster, TYPE.endpoints, TYPE.route, TYPE.listener].map((type) => ({
    type,
    delta: new DeltaSubscription(type),
    sotw: new SotwSubscription(type),
  }));
  #answers = 0;

  constructor(provider: MeshProvider) {
    this.#provider = provider;
    for (const { delta, sotw } of this.#subscriptions) {
      delta.receive({ subscribe: ['*'], unsubscribe: [], initialVersions: {}, nonce: '', error: null });
      sotw.receive({ names: [], version: '', nonce: '', error: null });
    }
  }

  /** Takes what there is; false when that does not end. */
  follow(): boolean {
    let left = 100;
    for (const { type, delta, sotw } of this.#subscriptions) {
      const lookup = this.#lookup(type);
      for (const phase of ['update', 'removal'] as const) {
        for (let answer = delta.next(phase, lookup, this.#nonce()); answer !== null && left-- > 0;) {
          delta.receive({ subscribe: [], unsubscribe: [], initialVersions: {}, ...this.#settle(answer.nonce) });
          answer = delta.next(phase, lookup, this.#nonce());
        }
        for (let answer = sotw.next(phase, lookup, this.#nonce()); answer !== null && left-- > 0;) {
          sotw.receive({ names: [], version: answer.version, ...this.#settle(answer.nonce) });
          answer = sotw.next(phase, lookup, this.#nonce());
        }
      }
    }
    return left > 0;
  }

  #nonce(): string {
    return String(++this.#answers);
  }

  #settle(nonce: string): { nonce: string; error: string | null } {
    return { nonce, error: Number(nonce) % 7 === 0 ? 'bad' : null };
  }

  #lookup(type: ResourceType): Lookup {
    const provider = this.#provider;
    const client = { namespace: 'a', workload: null, dialect: 'envoy' } as const;
    return {
      get revision() {
        return provider.revision;
      },
      resource: (name) => provider.resource(client, type, name),
      names: () => provider.names(client, type),
    };
  }
}

t.test('Services that come and go leave nothing behind, and no client in a loop', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { first, second, clock, state } = playedState((mesh) => provider.setMesh(mesh));
  const provider = new MeshProvider(state.compiled.mesh, () => 'pem');
  const started = state.start();
  first.synced();
  second.synced();
  await started;
  const follower = new Follower(provider);
  const heaps: number[] = [];
  for (let i = 0; i <= 1000; i++) {
    first.set(service(`s${i}`));
    if (i >= 10) first.batch([{ type: 'delete', kind: 'Service', key: `a/s${i - 10}` }]);
    clock.advance(1000);
    if (!follower.follow()) t.fail(`change ${i} is told without end`);
    // Weak references hold on until the event loop has turned.
    await new Promise((resolve) => setImmediate(resolve));
    if (i !== 500 && i !== 1000) continue;
    for (let round = 0; round < 3; round++) collect();
    heaps.push(process.memoryUsage().heapUsed);
  }
  const [middle = 0, end = 0] = heaps;
  t.ok(end - middle < 1_000_000, `500 changes left ${end - middle} bytes`);
  t.equal(state.compiled.mesh.services.size, 10);
});
