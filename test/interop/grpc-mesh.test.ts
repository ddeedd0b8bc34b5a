/**
 * gRPC between real processes: a control plane over a folder, sidecars, grpc-js on both ends, a GRPCRoute with matches and weights, and
 * a TrafficPolicy that tries calls again.
 */
import { once } from 'node:events';
import path from 'node:path';
import t from 'tap';
import { metric, replicasOf, until } from '../e2e/running-mesh.ts';
import { GrpcAsking, statusOf } from '../support/grpc-asking.ts';
import { CHAT, HANG, SERVING } from '../support/grpc-echo.ts';
import { startTcpMesh, type TcpMesh, type TcpWorkload } from '../support/tcp-mesh.ts';

const APP = path.join(import.meta.dirname, '../support/grpc-echo.ts');
const PORT = 7001;

function workload(name: string, replicas: number): TcpWorkload {
  return {
    name,
    replicas,
    command: ['node', APP, String(PORT)],
    services: { [name]: { port: PORT, appProtocol: 'grpc' } },
    readinessProbe: { tcpSocket: { port: PORT } },
  };
}

const method = (service: string, name?: string): object => ({
  service,
  ...(name === undefined ? {} : { method: name }),
});
const to = (name: string, weight = 1): object => ({ name, port: PORT, weight });

const ROUTE = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'GRPCRoute',
  metadata: { name: 'echo', namespace: 'test' },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: 'stable', port: PORT }],
    rules: [
      {
        matches: [{ method: method('echo.Echo', 'Say'), headers: [{ name: 'x-version', value: 'canary' }] }],
        backendRefs: [to('canary')],
      },
      { matches: [{ method: method('echo.Echo', 'Say') }], backendRefs: [to('stable', 3), to('canary', 1)] },
      {
        matches: [{ method: method('echo.Echo') }, { method: method('grpc.health.v1.Health') }],
        backendRefs: [to('stable')],
      },
    ],
  },
};

const RETRIES = {
  apiVersion: 'tulle.dev/v1alpha1',
  kind: 'TrafficPolicy',
  metadata: { name: 'echo', namespace: 'test' },
  spec: {
    targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'GRPCRoute', name: 'echo' }],
    retries: { attempts: 2, grpc: ['resource-exhausted'], methods: ['POST'] },
  },
};

function startEchoes(): Promise<TcpMesh> {
  return startTcpMesh([workload('stable', 3), workload('canary', 1)], [ROUTE, RETRIES]);
}

t.setTimeout(60_000);

t.test('gRPC through two real sidecars', async (t) => {
  const mesh = await startEchoes();
  const { host, port } = mesh.at('stable');
  const asking = new GrpcAsking(port, host);
  t.teardown(async () => {
    asking.close();
    await mesh.close();
  });
  const metricsAddress = replicasOf(mesh.mesh, 'client')[0]?.network.metricsAddress ?? '';

  await t.test('calls go where the route says, by method, header and weight, and to every replica', async (t) => {
    const met = new Set<string>();
    await until('every replica is known to the sidecar', async () => met.add((await asking.say('')).text).size === 4);
    const answers = await Promise.all(Array.from({ length: 80 }, () => asking.say('hi')));
    const names = answers.map(({ text }) => text.replace(/:hi$/, ''));
    t.same(new Set(answers.map(({ code }) => code)), new Set([0]));
    // Which of three gets how many is a matter of their latency so far.
    t.ok(new Set(names.filter((name) => name.startsWith('stable-'))).size >= 2);
    const canary = names.filter((name) => name.startsWith('canary-')).length;
    t.ok(canary > 4 && canary < 40, `${canary} of 80 for a weight of a quarter`);
    const chosen = await Promise.all(Array.from({ length: 10 }, () => asking.say('hi', { 'x-version': 'canary' })));
    t.ok(chosen.every(({ text }) => text.startsWith('canary-')));
    t.match(await asking.unary('/other.Service/Say'), { code: 12, details: /^no-route: / });
    t.equal((await asking.health()).text, SERVING.latin1Slice());
  });

  await t.test('streams of every kind, many at once, and large ones', async (t) => {
    t.equal(await asking.collect(20, 1_048_576), `20 ${20 * 1_048_576}`);
    let sizeBytes = 0;
    for await (const message of asking.count(20, 1_048_576) as AsyncIterable<Buffer>) sizeBytes += message.length;
    t.equal(sizeBytes, 20 * 1_048_576);
    const ends = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const call = asking.chat(CHAT);
        const status = statusOf(call);
        call.write(Buffer.from(`message ${i}`));
        const [answer] = await once(call, 'data');
        call.end();
        return `${String(answer)} ${(await status).code}`;
      }),
    );
    t.same(
      ends,
      ends.map((_, i) => `message ${i} 0`),
    );
  });

  await t.test('deadlines end calls, a status of the policy is tried again, and both are counted', async (t) => {
    const { code } = await asking.unary(HANG, '', {}, { deadline: Date.now() + 300 });
    t.equal(code, 4);
    t.equal((await asking.say('', { 'x-fail': '8', 'x-version': 'canary' })).code, 8);
    t.equal(await metric(metricsAddress, 'tulle_retries_total', 'destination_service="canary"'), 2);
    t.equal((await asking.say('', { 'x-fail': '5' })).code, 5);
    const count = (status: number): Promise<number> =>
      metric(metricsAddress, 'tulle_requests_total', 'direction="outbound"', `grpc_status="${status}"`);
    t.same([await count(5), await count(8), await count(12)], [1, 1, 1]);
    t.ok((await count(0)) >= 290);
  });
});
