/**
 * All replicas of a folder: as many as its Deployments want, of the revisions that they want.
 * Compares wish and reality after every change, one comparison at a time; what to do about a difference is `rollout.ts`.
 */
import { formatProblem, Problems } from '#base/problems.ts';
import type { Deployment } from '../../control-plane/kinds/deployment.ts';
import { objectKey } from '../../control-plane/kinds/meta.ts';
import type { World } from '../../control-plane/sources/world.ts';
import type { RunContext } from './context.ts';
import type { Network } from './network.ts';
import { Replica } from './replica.ts';
import { planReplica, revisionOf, type ReplicaPlan } from './replica-plan.ts';
import { nextSteps } from './rollout.ts';

/** One machine has its limits; whoever writes 1000000 replicas hears of them. */
const MAX_REPLICAS = 500;

export class Fleet {
  readonly #context: RunContext;
  readonly #network: Network;
  readonly #onChange: () => void;
  readonly #replicas = new Map<string, Replica>();
  /** Names of replicas that the network is still making room for. */
  readonly #starting = new Set<string>();
  readonly #told = new Set<string>();
  #world: World | null = null;
  #busy: Promise<void> = Promise.resolve();
  #asked = false;
  #closed = false;

  constructor(context: RunContext, network: Network, onChange: () => void) {
    this.#context = context;
    this.#network = network;
    this.#onChange = onChange;
  }

  /** Replicas that have not ended, in order of their start. */
  get replicas(): readonly Replica[] {
    return [...this.#replicas.values()];
  }

  /** Every Deployment that can run has all its replicas ready. */
  get settled(): boolean {
    if (this.#world === null) return false;
    const running = this.replicas;
    return (
      running.every((r) => r.ready) && this.#wanted().every(([key, d]) => countOf(running, key) === d.spec.replicas)
    );
  }

  /** Tells the listener as if something had changed. */
  announce(): void {
    this.#onChange();
  }

  apply(world: World): void {
    this.#network.servicesChanged([...world.services.values()], [...world.externalServices.values()]);
    this.#world = world;
    this.#reconcile();
  }

  /** Ends all replicas, all at once. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#busy;
    await Promise.all(this.replicas.map((r) => this.#end(r, true)));
  }

  /** Asks for a comparison; those asked for while one runs become one. */
  #reconcile(): void {
    if (this.#asked || this.#closed) return;
    this.#asked = true;
    this.#busy = this.#compareAfter(this.#busy);
  }

  async #compareAfter(before: Promise<void>): Promise<void> {
    await before;
    this.#asked = false;
    try {
      if (!this.#closed) await this.#compare();
    } catch (error) {
      // The machine refused something: out of addresses or processes. What runs goes on; the next change tries again.
      this.#context.report.problem(sentence(error));
    }
  }

  async #compare(): Promise<void> {
    await Promise.all(this.#wanted().map(([key, deployment]) => this.#follow(key, deployment)));
    // A Deployment that cannot run as it is written now keeps what runs of it.
    for (const replica of this.replicas) {
      const isGone = this.#world?.deployments.has(keyOf(replica.plan)) === false;
      if (isGone && !replica.ending) this.#retire(replica);
    }
  }

  #wanted(): readonly (readonly [string, Deployment])[] {
    return [...(this.#world?.deployments ?? [])].filter(([key, deployment]) => !this.#isUnable(key, deployment));
  }

  /** Tells why a Deployment cannot run here, once for each version of it. */
  #isUnable(key: string, deployment: Deployment): boolean {
    const problems = new Problems();
    const { replicas } = deployment.spec;
    const plan = planReplica(deployment, undefined, 0, problems);
    if (replicas > MAX_REPLICAS) {
      const place = deployment.placeOf('spec.replicas') ?? undefined;
      problems.add(
        'spec.replicas',
        `${replicas} processes are too many for one machine`,
        `write at most ${MAX_REPLICAS}`,
        place,
      );
    }
    for (const problem of problems.list) {
      const told = `${key} ${revisionOf(deployment)} ${formatProblem(problem)}`;
      if (!this.#told.has(told)) this.#context.report.problem(formatProblem(problem));
      this.#told.add(told);
    }
    return plan === null || !problems.isEmpty;
  }

  async #follow(key: string, deployment: Deployment): Promise<void> {
    const own = this.replicas.filter((r) => keyOf(r.plan) === key && !r.ending);
    const running = own.map((r) => ({ name: r.plan.name, revision: r.plan.revision, ready: r.ready }));
    const steps = nextSteps(deployment.spec.replicas, revisionOf(deployment), running);
    for (const replica of own) if (steps.end.includes(replica.plan.name)) this.#retire(replica);
    await Promise.all(Array.from({ length: steps.start }, () => this.#start(deployment)));
  }

  async #start(deployment: Deployment): Promise<void> {
    const plan = this.#freshPlan(deployment);
    if (plan === null || this.#world === null) return;
    const services = [...this.#world.services.values()];
    this.#starting.add(nameOf(plan));
    const joined = this.#network.join({
      pod: plan.name,
      namespace: plan.namespace,
      meshed: plan.meshed,
      services,
      externals: [...this.#world.externalServices.values()],
    });
    const network = await joined.finally(() => this.#starting.delete(nameOf(plan)));
    const replica = new Replica(plan, network, this.#context, () => this.#changed());
    this.#replicas.set(nameOf(plan), replica);
    replica.start();
    if (!plan.meshed)
      this.#context.report.news(
        `${plan.name} runs without a sidecar: it can be called, but cannot call Services by name`,
      );
    this.#onChange();
  }

  /** The plan with the lowest number whose name is free. */
  #freshPlan(deployment: Deployment): ReplicaPlan | null {
    const namespace = this.#world?.namespaces.get(deployment.meta.namespace);
    for (let number = 0; number <= 2 * MAX_REPLICAS; number++) {
      const plan = planReplica(deployment, namespace, number, new Problems());
      if (plan === null || !(this.#replicas.has(nameOf(plan)) || this.#starting.has(nameOf(plan)))) return plan;
    }
    return null;
  }

  #retire(replica: Replica): void {
    void this.#end(replica, false).then(
      () => this.#changed(),
      (error: unknown) => this.#context.report.problem(sentence(error)),
    );
  }

  async #end(replica: Replica, hurried: boolean): Promise<void> {
    await replica.stop(hurried);
    this.#replicas.delete(nameOf(replica.plan));
  }

  #changed(): void {
    this.#onChange();
    this.#reconcile();
  }
}

function nameOf(plan: ReplicaPlan): string {
  return `${plan.namespace}/${plan.name}`;
}

/** The key of the plan's Deployment. */
function keyOf(plan: ReplicaPlan): string {
  return objectKey({ namespace: plan.namespace, name: plan.deployment });
}

function countOf(replicas: readonly Replica[], key: string): number {
  return replicas.filter((r) => keyOf(r.plan) === key).length;
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
