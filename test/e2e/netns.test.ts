/**
 * Captured traffic between network namespaces, each a host of its own: real iptables, an unmodified client (curl) and an unmodified
 * server (Python's, or Node's own) that know nothing of the mesh.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { namespacesMissing } from '../support/netns.ts';
import { metric, replicasOf, startFolder, stateFolder, takeTurn, until } from './running-mesh.ts';
import type { Replica } from '../../cli/run/replica.ts';

const SERVER = `require('http').createServer((q, r) => r.end(JSON.stringify({ url: q.url, from: q.headers['x-forwarded-client-cert'] ?? null, host: q.headers.host }))).listen(8080)`;

function workload(name: string, replicas: number, command: string): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: test }
spec: { selector: { app: ${name} }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: test }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      serviceAccountName: ${name}
      terminationGracePeriodSeconds: 1
      containers: [{ name: main, command: ${command}, ports: [{ containerPort: 8080 }] }]
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: test }
`;
}

const MANIFESTS = [
  workload('client', 1, '[sleep, "600"]'),
  workload('server', 2, JSON.stringify(['node', '-e', SERVER])),
].join('---');

/** What a program prints that runs beside a replica's application, as the same user. */
function beside(replica: Replica | undefined, program: string, ...args: string[]): Promise<string> {
  if (replica === undefined) throw new Error('there is no such replica');
  const command = replica.network.enter({ program, args, cwd: '/', env: {} }, 'application');
  return new Promise((resolve) => {
    const child = spawn(command.program, command.args);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('close', () => resolve(output));
  });
}

t.setTimeout(90_000);

t.test(
  'curl on one host talks mutual TLS to servers on others, and nobody had to be told',
  { skip: namespacesMissing('curl', 'setpriv') },
  async (t) => {
    t.teardown(await takeTurn());
    const folder = path.join(stateFolder(), 'manifests');
    t.teardown(() => rmSync(path.dirname(folder), { recursive: true, force: true }));
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'all.yaml'), MANIFESTS);
    const running = await startFolder(folder, 3, { network: 'namespaces' });
    const { mesh } = running;
    t.teardown(() => running.close());
    const [client] = replicasOf(mesh, 'client');
    const servers = replicasOf(mesh, 'server');
    const curl = (...args: string[]): Promise<string> => beside(client, 'curl', '-s', '-m', '5', ...args);

    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => curl(`http://server/hello/${i}`)));
    t.same(
      answers.map((text) => (JSON.parse(text) as { url: string }).url),
      Array.from({ length: 8 }, (_, i) => `/hello/${i}`),
    );
    t.match(answers[0], /URI=spiffe:\/\/cluster\.local\/ns\/test\/sa\/client/, 'the server learns who called');
    const address = client?.network.metricsAddress ?? '';
    const secured = (): Promise<number> =>
      metric(
        address,
        'tulle_requests_total',
        'direction="outbound"',
        'mutual_tls',
        'peer="spiffe://cluster.local/ns/test/sa/server"',
      );
    await until('all eight are counted as mutual TLS', async () => (await secured()) === 8);

    const [server] = servers;
    t.match(
      await curl(`http://${server?.network.podAddress}:8080/direct`),
      /"url":"\/direct"/,
      'by the address of a pod',
    );
    t.match(
      await beside(server, 'curl', '-s', '-m', '5', 'http://127.0.0.1:8080/self'),
      /"url":"\/self","from":null/,
      'loopback is not captured',
    );
    const own = await Promise.all(
      Array.from({ length: 6 }, () => beside(server, 'curl', '-s', '-m', '5', 'http://server/own')),
    );
    t.same(
      own.filter((text) => !text.includes('"url":"/own"')),
      [],
      'a Service that leads back to the caller',
    );
  },
);
