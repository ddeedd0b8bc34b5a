/**
 * How long a change takes until every sidecar has acked it, and what that costs the control plane:
 * `node bench/control-plane.ts [--services 1000] [--endpoints 10] [--clients 100] [--subscribed 100] [--rounds 10]`.
 * The control plane is a process of its own over a folder of manifests; the clients are delta streams over TLS in this one,
 * each with a connection and a token of its own. Times include noticing the file, the debounce and the compilation.
 */
import { Client, Metadata, credentials } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  AggregatedDiscoveryServiceDefinition,
  DeltaDiscoveryRequest,
} from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import type { DeltaDiscoveryResponse } from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import { TYPE } from '#api/names.ts';
import { systemClock } from '#base/clock.ts';
import { FolderTokens, loadTokenKey } from '../control-plane/identity/tokens.ts';
import { grpcService } from '../control-plane/serve/service.ts';

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '1000' },
    endpoints: { type: 'string', default: '10' },
    clients: { type: 'string', default: '100' },
    subscribed: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '10' },
  },
});
const count = {
  services: Number(values.services),
  endpoints: Number(values.endpoints),
  clients: Number(values.clients),
  subscribed: Math.min(Number(values.subscribed), Number(values.services)),
  rounds: Number(values.rounds),
};
const TYPES = [TYPE.listener, TYPE.route, TYPE.cluster, TYPE.endpoints];

function serviceYaml(index: number, endpoints: number): string {
  const addresses = Array.from(
    { length: endpoints },
    (_, i) => `  - addresses: ["10.${index >> 8}.${index & 255}.${i + 1}"]`,
  );
  return `
apiVersion: v1
kind: Service
metadata: { name: s${index}, namespace: bench }
spec: { ports: [{ name: http, port: 8080, appProtocol: http }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: s${index}-1, namespace: bench, labels: { kubernetes.io/service-name: s${index} } }
addressType: IPv4
ports: [{ name: http, port: 8080 }]
endpoints:
${addresses.join('\n')}
`;
}

function policyYaml(milliseconds: number): string {
  return `
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: s0, namespace: bench }
spec: { targetRefs: [{ group: "", kind: Service, name: s0 }], timeouts: { request: ${milliseconds}ms } }
`;
}

interface Child {
  readonly xdsAddress: string;
  readonly pid: number;
  stop(): void;
}

/** Starts the control plane and waits until it serves. */
function startControlPlane(folder: string, state: string): Promise<Child> {
  const main = join(import.meta.dirname, '..', 'control-plane', 'main.ts');
  const ports = ['--xds-address', '127.0.0.1:0', '--admin-address', '127.0.0.1:0'];
  const flags = ['--folder', folder, '--state-dir', state, ...ports, '--log-format', 'json'];
  const child = spawn(process.execPath, [main, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-100_000);
      const xdsAddress = /"message":"serving","xds":"([^"]+)"/.exec(text)?.[1];
      if (xdsAddress !== undefined) resolve({ xdsAddress, pid: child.pid ?? 0, stop: () => child.kill() });
    });
    child.once('exit', () => reject(new Error(`the control plane ended: ${text}`)));
  });
}

/** What the fakes say; the rest of a request is empty. */
interface Wish {
  readonly typeUrl: string;
  readonly node?: { id: string; userAgentName: string };
  readonly resourceNamesSubscribe?: string[];
  readonly responseNonce?: string;
}

const DELTA = grpcService(AggregatedDiscoveryServiceDefinition)['deltaAggregatedResources']!;

/** One client: acks what it is told and counts it. */
class FakeSidecar {
  readonly #stream: ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  held = 0;
  #onResponse: () => void = () => undefined;

  constructor(index: number, address: string, ca: Buffer, tokens: FolderTokens) {
    const pod = `pod-${index}`;
    const token = tokens.issue({ namespace: 'bench', serviceAccount: 'default', pod }, 3_600_000);
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const options = { 'grpc.ssl_target_name_override': 'localhost' };
    const client = new Client(address, credentials.createSsl(ca), options);
    const { path, requestSerialize, responseDeserialize } = DELTA;
    this.#stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    this.#stream.on('data', (response: DeltaDiscoveryResponse) => this.#receive(response));
    // The control plane ends before its clients do.
    this.#stream.on('error', () => undefined);
    // Everybody follows the first service, which the rounds change, and a window of the others.
    const others = Array.from({ length: count.subscribed - 1 }, (_, i) => 1 + ((index * 7 + i) % (count.services - 1)));
    const resourceNamesSubscribe = [0, ...others].map((i) => `s${i}.bench.svc.cluster.local:8080`);
    const node = { id: `sidecar~${pod}~bench`, userAgentName: 'tulle' };
    for (const typeUrl of TYPES) this.#ask({ node, typeUrl, resourceNamesSubscribe });
  }

  /** Resolves when this client holds `held` resources, counting each time that one came. */
  until(held: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onResponse = () => {
        if (this.held >= held) resolve();
      };
      this.#onResponse();
    });
  }

  #receive({ typeUrl, nonce, resources }: DeltaDiscoveryResponse): void {
    this.#ask({ typeUrl, responseNonce: nonce });
    this.held += resources.length;
    this.#onResponse();
  }

  #ask(request: Wish): void {
    this.#stream.write(DeltaDiscoveryRequest.fromPartial(request));
  }
}

/** Resident memory in MB and CPU in ms of a process, from /proc. */
function usage(pid: number): { rssMb: number; peakMb: number; cpuMs: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kb = (field: string): number => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return {
    rssMb: kb('VmRSS') / 1024,
    peakMb: kb('VmHWM') / 1024,
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
  };
}

function print(what: string, value: string): void {
  process.stdout.write(`${what.padEnd(52)} ${value}\n`);
}

function quantiles(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (q: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(0);
  return `p50 ${at(0.5)} ms, max ${at(1)} ms`;
}

/** Writes a file that changes `perClient` resources of every client, `rounds` times, and waits for the last ack each time. */
async function measure(
  clients: readonly FakeSidecar[],
  perClient: number,
  write: (round: number) => void,
): Promise<{ times: number[] }> {
  const times: number[] = [];
  for (let round = 1; round <= count.rounds; round++) {
    const all = Promise.all(clients.map((client) => client.until(client.held + perClient)));
    const startMs = systemClock.now();
    write(round);
    await all;
    times.push(systemClock.now() - startMs);
  }
  return { times };
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'));
  const [manifests, state] = [join(folder, 'manifests'), join(folder, 'state')];
  mkdirSync(manifests);
  for (let i = 0; i < count.services; i++)
    writeFileSync(join(manifests, `s${i}.yaml`), serviceYaml(i, count.endpoints));
  const startMs = systemClock.now();
  const child = await startControlPlane(manifests, state);
  try {
    print(
      `start until served, ${count.services} services x ${count.endpoints}`,
      `${(systemClock.now() - startMs).toFixed(0)} ms`,
    );
    print('memory before clients', `${usage(child.pid).rssMb.toFixed(0)} MB`);
    const tokens = new FolderTokens(loadTokenKey(state), systemClock);
    const ca = readFileSync(join(state, 'ca.pem'));
    const connectMs = systemClock.now();
    const clients = Array.from({ length: count.clients }, (_, i) => new FakeSidecar(i, child.xdsAddress, ca, tokens));
    await Promise.all(clients.map((client) => client.until(count.subscribed * TYPES.length)));
    print(
      `${count.clients} clients x ${count.subscribed} services, connect to all acked`,
      `${(systemClock.now() - connectMs).toFixed(0)} ms`,
    );
    print('memory with clients', `${usage(child.pid).rssMb.toFixed(0)} MB`);
    const before = usage(child.pid).cpuMs;
    const policy = await measure(clients, 1, (round) =>
      writeFileSync(join(manifests, 'policy.yaml'), policyYaml(1000 + round)),
    );
    print('policy of one service changed, to the last ack', quantiles(policy.times));
    const between = usage(child.pid).cpuMs;
    const endpoints = await measure(clients, 1, (round) =>
      writeFileSync(join(manifests, 's0.yaml'), serviceYaml(0, count.endpoints + (round % 2) + 1)),
    );
    print('endpoints of one service changed, to the last ack', quantiles(endpoints.times));
    const after = usage(child.pid);
    print(
      'CPU of the control plane for such a change',
      `${((between - before) / count.rounds).toFixed(0)} ms, ${((after.cpuMs - between) / count.rounds).toFixed(0)} ms`,
    );
    print('memory at the end, and its peak', `${after.rssMb.toFixed(0)} MB, ${after.peakMb.toFixed(0)} MB`);
  } finally {
    child.stop();
    rmSync(folder, { recursive: true });
  }
  process.exit(0);
}

await main();
