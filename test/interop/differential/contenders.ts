/**
 * Our sidecar and Envoy beside each other, at one control plane: both get the same routes, clusters and endpoints, each in its
 * own way, and both are asked through a plain socket. Knows no expectation.
 */
import { Agent, request, type IncomingMessage } from 'node:http';
import { ENVOY_OUTBOUND_PORT, startEnvoy } from '../../support/envoy.ts';
import { startFolderMesh, type FolderMesh } from '../../support/folder-mesh.ts';
import { manifestOf, serviceAt } from '../../support/manifests.ts';
import { startSidecar } from '../../support/sidecar.ts';
import { CASE_HEADER, Upstreams } from './upstreams.ts';
import { BACKENDS, PORT, type Ask, type World } from './world.ts';

export type Contender = 'tulle' | 'envoy';
export const CONTENDERS: readonly Contender[] = ['tulle', 'envoy'];

/** What the client saw. */
export interface Answer {
  /** 0: the connection ended without an answer. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const KNOWN_MS = 30_000;
const ANSWER_MS = 10_000;
/** Endpoints of each backend. */
const ENDPOINTS = 2;

export class Rig {
  readonly upstreams: Upstreams;
  readonly #mesh: FolderMesh;
  readonly #ports: Readonly<Record<Contender, number>>;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #stop: () => Promise<void>;

  private constructor(
    mesh: FolderMesh,
    upstreams: Upstreams,
    ports: Readonly<Record<Contender, number>>,
    stop: () => Promise<void>,
  ) {
    this.#mesh = mesh;
    this.upstreams = upstreams;
    this.#ports = ports;
    this.#stop = stop;
  }

  static async start(folder: string): Promise<Rig> {
    const upstreams = new Upstreams();
    const backends: string[] = [];
    for (const name of BACKENDS) {
      const ports: number[] = [];
      for (let i = 0; i < ENDPOINTS; i++) ports.push(await upstreams.open(name));
      backends.push(manifestOf(serviceAt(name, ports, PORT)));
    }
    const mesh = await startFolderMesh(folder, { 'backends.yaml': backends.join('\n---\n') });
    const pod = { namespace: 'default', serviceAccount: 'gateway', pod: 'envoy-1' };
    const envoy = await startEnvoy(folder, mesh, mesh.issueToken(pod, 3_600_000), 'DELTA_GRPC');
    const sidecar = await startSidecar(folder, mesh, 'tulle-1');
    return new Rig(mesh, upstreams, { tulle: sidecar.proxyPort, envoy: ENVOY_OUTBOUND_PORT }, async () => {
      await sidecar.stop();
      await envoy.close();
      await mesh.close();
      upstreams.close();
    });
  }

  /** What the control plane complained of: refused manifests, nacks. */
  get warnings(): readonly string[] {
    return this.#mesh.warnings;
  }

  /** Puts a world in force, and waits until both contenders have it. */
  async apply(world: World): Promise<void> {
    const marker = `marker-w${world.seed}`;
    this.upstreams.plan(world.asks);
    this.#mesh.write('world.yaml', `${world.manifest}\n---\n${markerManifest(marker)}`);
    for (const contender of CONTENDERS) await this.#until(contender, `${marker}.default:${PORT}`);
  }

  ask(contender: Contender, ask: Ask): Promise<Answer> {
    const headers = [
      ['host', `${ask.service}.default:${PORT}`],
      [CASE_HEADER, `${ask.id}/${contender}`],
      ...ask.headers,
      ...(ask.body === '' ? [] : [['content-length', String(ask.body.length)]]),
    ].flat();
    return this.#send(contender, ask.method, ask.path, headers, ask.body);
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    await this.#stop();
  }

  async #until(contender: Contender, host: string): Promise<void> {
    const deadline = Date.now() + KNOWN_MS;
    for (;;) {
      const answer = await this.#send(contender, 'GET', '/', ['host', host], '');
      if (answer.status === 302 && answer.headers['location'] === 'http://there.example/') return;
      if (Date.now() > deadline) throw new Error(`${contender} does not know ${host}: ${JSON.stringify(answer)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #send(contender: Contender, method: string, path: string, headers: string[], body: string): Promise<Answer> {
    const agent = this.#agent;
    const options = { host: '127.0.0.1', port: this.#ports[contender], agent, method, path, headers, setHost: false };
    return new Promise((resolve) => {
      const gone = (): void => resolve({ status: 0, headers: {}, body: '' });
      const call = request(options, (response) => void readAnswer(response).then(resolve, gone));
      call.on('error', gone);
      call.setTimeout(ANSWER_MS, () => call.destroy());
      call.end(body);
    });
  }
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  let body = '';
  for await (const chunk of response.setEncoding('latin1') as AsyncIterable<string>) body += chunk;
  const headers: Record<string, string> = {};
  for (const [name, values] of Object.entries(response.headersDistinct)) headers[name] = (values ?? []).join('|');
  return { status: response.statusCode ?? 0, headers, body };
}

/** A Service whose only answer is a redirect: who gives it has its world. */
function markerManifest(name: string): string {
  const requestRedirect = { hostname: 'there.example', port: 80, scheme: 'http', statusCode: 302 };
  return manifestOf([
    ...serviceAt(name, [], PORT),
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name, namespace: 'default' },
      spec: {
        parentRefs: [{ group: '', kind: 'Service', name }],
        rules: [{ filters: [{ type: 'RequestRedirect', requestRedirect }] }],
      },
    },
  ]);
}
