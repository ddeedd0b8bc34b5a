/** `tulle check` on ports that nobody has declared. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { check } from '../../../cli/check.ts';
import { detectionsOf, type Detections } from '../../../cli/check-protocols.ts';

const MANIFEST = `
apiVersion: v1
kind: Service
metadata: { name: mixed, namespace: shop }
spec:
  ports:
    - { name: web, port: 80, appProtocol: http }
    - { name: grpc-api, port: 81 }
    - { name: sql, port: 5432 }
    - { name: time, port: 123, protocol: UDP }
    - { name: mystery, port: 9000 }
    - { name: exotic, port: 9001, appProtocol: example.com/exotic }
`;

async function linesOf(folder: string, detections?: Detections): Promise<readonly string[]> {
  const lines: string[] = [];
  t.equal(await check(folder, 'cluster.local', (line) => lines.push(line.replace(`${folder}/`, '')), detections), 0);
  return lines.filter((line) => line.includes('appProtocol'));
}

t.test('undeclared ports are named, with the line to write', async (t) => {
  const folder = t.testdir({ 'all.yaml': MANIFEST });
  const advice = '(write appProtocol: http, kubernetes.io/h2c, grpc, https or tcp)';
  const mystery = 'all.yaml:11:24: spec.ports[4]: Service shop/mixed port 9000 declares no protocol';
  const exotic =
    'all.yaml:12:23: spec.ports[5]: Service shop/mixed port 9001 declares example.com/exotic, which is not known';
  const told = ': each connection is told by its first bytes';
  t.same(await linesOf(folder), [`${mystery}${told} ${advice}`, `${exotic}${told} ${advice}`]);
  const detections = new Map([
    [9000, new Set(['server-first', 'opaque'])],
    [9001, new Set(['http1', 'tls'])],
  ]);
  t.same(await linesOf(folder, detections), [
    `${mystery}${told}, connections to port 9000 turned out to be opaque, server-first (write appProtocol: tcp)`,
    `${exotic}${told}, connections to port 9001 turned out to be http1, tls ${advice}`,
  ]);
});

t.test('a folder that is not there is said to be missing', async (t) => {
  const folder = `${t.testdir({})}/none`;
  const lines: string[] = [];
  t.same([await check(folder, 'cluster.local', (line) => lines.push(line)), lines], [1, [`${folder} does not exist`]]);
});

t.test('what the sidecars of a running mesh have found out is added up', async (t) => {
  const page = [
    'tulle_protocol_detections_total{direction="outbound",port="9000",protocol="http1"} 3',
    'tulle_protocol_detections_total{direction="outbound",port="9000",protocol="tls"} 0',
    'tulle_protocol_detections_total{direction="inbound",port="8080",protocol="tls"} 1',
  ].join('\n');
  const server = createServer((_request, response) => response.end(page));
  t.teardown(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const metricsAddress = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const replicas = [metricsAddress, '', '127.0.0.1:1'].map((address) => ({
    namespace: 'shop',
    pod: 'web-1',
    deployment: 'web',
    ready: true,
    podAddress: '127.0.0.1',
    appAddress: '127.0.0.1',
    adminAddress: '',
    metricsAddress: address,
    appPid: 1,
    sidecarPid: 1,
  }));
  const controlPlane = { pid: 1, xdsAddress: '', adminAddress: '' };
  t.same(
    await detectionsOf({ runnerPid: 1, folders: [], clusterDomain: 'cluster.local', controlPlane, replicas }),
    new Map([[9000, new Set(['http1'])]]),
  );
});
