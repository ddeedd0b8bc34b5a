/**
 * A real sidecar process under siege, at both of its listeners: an application that writes everything down, bystanders who must not
 * notice, and what the process holds before and after. Test-only.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectH2 } from 'node:http2';
import http from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Collectors, INSPECTED } from '../../../bench/soak/collect.ts';
import { serviceWithEndpoint, startFolderMesh } from '../../support/folder-mesh.ts';
import { openFiles } from '../../support/open-files.ts';
import { openWire, type Wire } from '../../support/raw-http.ts';
import { freePort } from '../../support/ports.ts';
import { startSidecar, type SidecarProcess } from '../../support/sidecar.ts';
import { RecordingApp } from './app.ts';
import { Bystander } from './bystander.ts';

/**
 * More than before the first attack, after the last, each after a full collection: a tenth, and what allocators keep of the room that a thousand
 * connections at once took (measured: 0 to 51 MB, and no more after three rounds than after one). What attacks send and ask for is gigabytes.
 */
const MEMORY_SHARE = 0.1;
const MEMORY_SLACK_MB = 64;
/** Until everything is as before. */
const REST_MS = 60_000;
/** What the sidecar may take to end a connection; heads have two seconds. */
const END_MS = 15_000;
const WARM_UP_REQUESTS = 3000;

/** Where attacks come in. */
export interface Door {
  readonly name: 'outbound' | 'inbound';
  readonly host: string;
  readonly port: number;
}

export interface SiegeOptions {
  /** Loopback address of the pod; files that run at the same time take different ones. */
  readonly podAddress: string;
  /** Without dashes. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Further Services, by the port that each is given on this machine. */
  readonly services?: Readonly<Record<string, { readonly yaml: string; readonly port: number }>>;
}

function manifests(app: number, calm: number, podAddress: string, more: readonly string[]): string {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'besieged-1', namespace: 'default', labels: { app: 'besieged' } },
    spec: {
      serviceAccountName: 'gateway',
      containers: [
        {
          name: 'app',
          image: 'local',
          ports: [
            { name: 'http-app', containerPort: app },
            { name: 'http-calm', containerPort: calm },
          ],
        },
      ],
    },
    status: {
      phase: 'Running',
      podIP: podAddress,
      podIPs: [{ ip: podAddress }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
  const ports = [
    { name: 'http-app', port: app, targetPort: app, appProtocol: 'http' },
    { name: 'http-calm', port: calm, targetPort: calm, appProtocol: 'http' },
  ];
  const besieged = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'besieged', namespace: 'default' },
    spec: { selector: { app: 'besieged' }, ports },
  };
  const services = [serviceWithEndpoint('web', 80, 'http', app), serviceWithEndpoint('calm', 80, 'http', calm)];
  return [...services, JSON.stringify(pod), JSON.stringify(besieged), ...more].join('\n---\n');
}

/** Everything is closed with the test. */
export async function besiege(t: Test, options: SiegeOptions): Promise<Siege> {
  const { podAddress, flags = {}, services = {} } = options;
  const [app, calm] = [new RecordingApp(), new RecordingApp()];
  await Promise.all([app.listen(), calm.listen()]);
  const more = Object.values(services).map(({ yaml }) => yaml);
  const folder = t.testdir();
  const mesh = await startFolderMesh(folder, { 'mesh.yaml': manifests(app.port, calm.port, podAddress, more) });
  t.teardown(async () => {
    await mesh.close();
    app.close();
    calm.close();
  });
  const [webPort, calmPort] = [await freePort(), await freePort()];
  const ports = { web: webPort, calm: calmPort, ...mapValues(services, ({ port }) => port) };
  const sidecar = await startSidecar(
    folder,
    mesh,
    'besieged-1',
    { 'pod-address': podAddress, 'head-timeout': '2s', 'app-idle': '500ms', 'peer-idle': '500ms', ...flags },
    Object.entries(ports).flatMap(([name, port]) => ['--outbound-listen', `${name}.default:80=127.0.0.1:${port}`]),
    [INSPECTED],
  );
  const collectors = new Collectors();
  const logs = join(folder, 'logs');
  mkdirSync(logs);
  writeFileSync(join(logs, 'sidecar'), sidecar.log());
  await collectors.open(logs);
  t.teardown(async () => {
    collectors.close();
    await sidecar.stop();
  });
  const outbound = { name: 'outbound', host: '127.0.0.1' } as const;
  const inbound = { name: 'inbound', host: podAddress } as const;
  const siege = new Siege(
    sidecar,
    collectors,
    app,
    [
      { ...outbound, port: webPort },
      { ...inbound, port: app.port },
    ],
    [
      { ...outbound, port: calmPort },
      { ...inbound, port: calm.port },
    ],
  );
  await siege.begin();
  return siege;
}

function mapValues<V, W>(values: Readonly<Record<string, V>>, change: (value: V) => W): Record<string, W> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]));
}

export class Siege {
  readonly sidecar: SidecarProcess;
  readonly app: RecordingApp;
  readonly doors: readonly Door[];
  readonly #collectors: Collectors;
  readonly #calmDoors: readonly Door[];
  #bystanders: Bystander[] = [];
  #descriptors = 0;
  #openFiles: readonly string[] = [];
  #memoryMb = 0;

  constructor(
    sidecar: SidecarProcess,
    collectors: Collectors,
    app: RecordingApp,
    doors: readonly Door[],
    calmDoors: readonly Door[],
  ) {
    this.sidecar = sidecar;
    this.#collectors = collectors;
    this.app = app;
    this.doors = doors;
    this.#calmDoors = calmDoors;
  }

  /** Ordinary traffic until code is compiled and buffers are made; then what is held at rest is noted, and bystanders begin. */
  async begin(): Promise<void> {
    for (const door of [...this.doors, ...this.#calmDoors]) {
      await until(() => opens(door), `${door.name} listens`);
      await warmUp(door);
    }
    this.#descriptors = await this.#atRest();
    this.#openFiles = openFiles(this.sidecar.pid);
    await this.#collectors.collect();
    this.#memoryMb = this.memoryMb();
    this.#bystanders = this.#calmDoors.map(({ host, port }) => new Bystander(host, port));
    this.app.forget();
  }

  /** Sends bytes and reads until the sidecar has closed the connection; rejects when it does not. */
  async strike(door: Door, bytes: string | Buffer): Promise<string> {
    const wire = await openDoor(door);
    wire.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    const timer = setTimeout(() => wire.socket.destroy(new Error('not closed')), END_MS);
    const text = await wire.closed();
    clearTimeout(timer);
    wire.socket.destroy();
    if (wire.socket.errored?.message === 'not closed')
      throw new Error(`the sidecar does not close after ${text.slice(0, 200)}`);
    return text;
  }

  /** Sends bytes and goes away when `done` holds of what came back; throws when that does not come in time. */
  async ask(door: Door, bytes: string | Buffer, done: (text: string) => boolean): Promise<string> {
    const wire = await openDoor(door);
    wire.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    try {
      return await wire.until(done);
    } finally {
      wire.socket.destroy();
    }
  }

  /** Asks a good request through the same door; every byte that had reached the application before it, since the last time. Throws when the answer is not 200. */
  async seenBefore(door: Door): Promise<string> {
    const answer = await this.strike(door, 'GET /after HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n');
    if (!/^HTTP\/1\.1 200 [^]*\r\n\r\nok$/.test(answer)) throw new Error(`a good request is answered with ${answer}`);
    const { record } = this.app;
    this.app.forget();
    return record.slice(0, record.indexOf('GET /after '));
  }

  /** What bystanders have met that was no answer, since the last time. */
  harm(): string[] {
    return this.#bystanders.flatMap((one) => one.failures.splice(0));
  }

  memoryMb(): number {
    const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.sidecar.pid}/status`, 'utf8'))?.[1]);
    return (kilobytes * 1024) / 1e6;
  }

  descriptors(): number {
    return readdirSync(`/proc/${this.sidecar.pid}/fd`).length;
  }

  /** After the last attack: bystanders leave, descriptors are exactly as before the first, and memory is within its bound. */
  async lift(t: Test): Promise<void> {
    await Promise.all(this.#bystanders.map((one) => one.stop()));
    t.same(this.harm(), [], 'others were served throughout');
    for (const { requests } of this.#bystanders) t.ok(requests > 20, `${requests} requests of others`);
    await until(
      () => this.descriptors() === this.#descriptors,
      `descriptors are ${this.#descriptors} again`,
      REST_MS,
    ).catch(() => undefined);
    t.equal(this.descriptors(), this.#descriptors, 'descriptors are exactly as before');
    if (this.descriptors() !== this.#descriptors) t.comment(await this.#whatIsOpen());
    const boundMb = this.#memoryMb * (1 + MEMORY_SHARE) + MEMORY_SLACK_MB;
    await until(
      async () => {
        await this.#collectors.collect();
        return this.memoryMb() <= boundMb;
      },
      'memory is within its bound',
      REST_MS,
    ).catch(() => undefined);
    const figures = `${this.#memoryMb.toFixed(0)} MB before, ${this.memoryMb().toFixed(0)} MB after, at most ${boundMb.toFixed(0)}`;
    t.ok(this.memoryMb() <= boundMb, figures);
    t.comment(figures);
  }

  /** For people. */
  async #whatIsOpen(): Promise<string> {
    const pages = ['clusters', 'metrics'].map(async (page) => {
      const text = await (await fetch(`http://127.0.0.1:${this.sidecar.adminPort}/${page}`)).text();
      return page === 'metrics' ? text.replaceAll(/^(?!tulle_(?:downstream|upstream)_connections).*\n/gm, '') : text;
    });
    const [before, after] = [this.#openFiles, openFiles(this.sidecar.pid)].map((files) => files.join('; '));
    return [`before: ${before}`, `after: ${after}`, ...(await Promise.all(pages))].join('\n');
  }

  /** Their number once it has not changed for longer than idle connections live. */
  async #atRest(): Promise<number> {
    let last = -1;
    let sinceMs = 0;
    await until(
      () => {
        const now = this.descriptors();
        if (now !== last) sinceMs = Date.now();
        last = now;
        return Date.now() - sinceMs > 1500;
      },
      'descriptors come to rest',
      REST_MS,
    );
    return last;
  }
}

export async function until(holds: () => boolean | Promise<boolean>, what: string, limitMs = END_MS): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function openDoor({ host, port }: Pick<Door, 'host' | 'port'>): Promise<Wire> {
  return openWire(port, host);
}

function opens(door: Door): Promise<boolean> {
  return openDoor(door).then(
    (wire) => {
      wire.socket.destroy();
      return true;
    },
    () => false,
  );
}

/** Both versions, small and large answers, bodies up. */
async function warmUp(door: Door): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  for (let i = 0; i < WARM_UP_REQUESTS; i += 16) {
    const asks = Array.from({ length: 16 }, (_, j) => get(door, agent, j === 0 ? '/large' : '/'));
    await Promise.all(asks);
  }
  agent.destroy();
  const session = connectH2(`http://${door.host}:${door.port}`);
  for (let i = 0; i < WARM_UP_REQUESTS; i += 16) {
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        const stream = session.request({ ':method': 'POST', ':path': '/' }).end('hello').resume();
        await once(stream, 'close');
      }),
    );
  }
  session.close();
}

async function get({ host, port }: Door, agent: http.Agent, path: string): Promise<void> {
  const request = http.get({ host, port, agent, path });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  await once(response.resume(), 'end');
}
