/**
 * A real mesh under a steady load while its parts are killed, its manifests edited and its certificates run out.
 * One mesh for all of it: starting one costs more than any of the tests.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { ask } from '../../cli/admin/ask.ts';
import { isAlive, loadOn, metric, replicasOf, startShop, takeTurn, until } from './running-mesh.ts';

/** The shortest life that a certificate may have: it is renewed several times while this test runs. */
const LEAF_TTL_MS = 10_000;

const endTurn = await takeTurn();
const shop = await startShop({ leafTtlMs: LEAF_TTL_MS });
const { mesh, folder, said } = shop;
const load = loadOn(mesh, 100);
load.start();
const certificates = new Map<string, Set<string>>();
t.teardown(endTurn);
t.teardown(() => shop.close());
t.setTimeout(110_000);

/** The answers of at least so many more requests. */
async function moreRequests(count: number): Promise<void> {
  const wanted = load.totals.succeeded + load.totals.failed + count;
  await until(`${count} more requests are answered`, () => load.totals.succeeded + load.totals.failed >= wanted);
}

async function noteCertificates(): Promise<void> {
  for (const { plan, network } of mesh.replicas) {
    const page = await ask(`http://${network.adminAddress}/certs`);
    if (page?.status !== 200) continue;
    const { chain } = JSON.parse(page.body) as { chain: readonly { serial?: string }[] };
    const seen = certificates.get(plan.name) ?? new Set();
    certificates.set(plan.name, seen.add(JSON.stringify(chain[0])));
  }
}

t.test('every call between services is mutual TLS with the identity of the callee', async (t) => {
  await moreRequests(100);
  await noteCertificates();
  for (const { plan, network } of mesh.replicas.filter((r) => /frontend|cart/.test(r.plan.deployment))) {
    t.equal(
      await metric(
        network.metricsAddress,
        'tulle_requests_total',
        'direction="outbound"',
        'connection_security="none"',
      ),
      0,
      plan.name,
    );
  }
  const [frontend] = replicasOf(mesh, 'frontend');
  const address = frontend?.network.metricsAddress ?? '';
  for (const account of ['catalog', 'reviews', 'cart']) {
    const peer = `peer="spiffe://cluster.local/ns/shop/sa/${account}"`;
    t.ok((await metric(address, 'tulle_requests_total', 'direction="outbound"', 'mutual_tls', peer)) > 0, account);
  }
  t.equal(load.totals.failed, 0);
});

t.test('kill -9 of an application costs no request, and it comes back', async (t) => {
  for (const deployment of ['catalog', 'frontend']) {
    const [victim] = replicasOf(mesh, deployment);
    const pid = victim?.appPid ?? 0;
    process.kill(pid, 'SIGKILL');
    await until(`${deployment} is back`, () => victim?.ready === true && victim.appPid !== pid);
    const inbound = (): Promise<number> =>
      metric(victim?.network.metricsAddress ?? '', 'tulle_requests_total', 'direction="inbound"');
    const before = await inbound();
    await until(`${deployment} takes traffic again`, async () => (await inbound()) > before);
  }
  t.same([load.totals.failed, [...load.totals.reasons]], [0, []]);
});

t.test('kill -9 of a sidecar costs no request, and it comes back at the same address', async (t) => {
  for (const deployment of ['reviews-v1', 'cart']) {
    const [victim] = replicasOf(mesh, deployment);
    const pid = victim?.sidecarPid ?? 0;
    process.kill(pid, 'SIGKILL');
    await until(`the sidecar of ${deployment} is back`, () => victim?.ready === true && victim.sidecarPid !== pid);
    await until(
      'it takes traffic again',
      async () =>
        (await metric(victim?.network.metricsAddress ?? '', 'tulle_requests_total', 'direction="inbound"')) > 0,
    );
  }
  t.same([load.totals.failed, [...load.totals.reasons]], [0, []]);
});

t.test(
  'an edited weight is in force within a second, a broken one changes nothing and is told with its line',
  async (t) => {
    const file = path.join(folder, 'routes.yaml');
    const text = readFileSync(file, 'utf8');
    const [frontend] = replicasOf(mesh, 'frontend');
    const routes = async (): Promise<string> =>
      (await ask(`http://${frontend?.network.adminAddress}/config_dump`))?.body ?? '';
    const editedMs = performance.now();
    writeFileSync(file, text.replace('weight: 80', 'weight: 35').replace('weight: 20', 'weight: 65'));
    await until('the sidecar has the new weights', async () => /"weight": 35\b/.test(await routes()));
    t.ok(performance.now() - editedMs < 1000, `in force after ${Math.round(performance.now() - editedMs)} ms`);
    await until('the edit is announced', () => said.includes('reviews split now 35/65 (reviews-v1, reviews-v2)'));
    writeFileSync(file, text.replace('weight: 80', 'weight: much').replace('weight: 20', 'weight: 65'));
    await until('the broken edit is told', () => said.some((line) => /routes\.yaml:\d+:\d+: .*weight/.test(line)));
    await moreRequests(50);
    t.match(await routes(), /"weight": 35\b/);
    writeFileSync(file, text);
    await until('the old weights are back', async () => /"weight": 80\b/.test(await routes()));
    t.equal(load.totals.failed, 0);
  },
);

t.test('without its control plane the mesh goes on; the control plane comes back to all of it', async (t) => {
  const pid = mesh.controlPlane.pid ?? 0;
  process.kill(pid, 'SIGSTOP');
  await moreRequests(200);
  process.kill(pid, 'SIGKILL');
  await until('it is started again', () => mesh.controlPlane.pid !== null && mesh.controlPlane.pid !== pid);
  await until('all sidecars are connected again', async () => {
    const views = await Promise.all(
      mesh.replicas.map(({ network }) => ask(`http://${network.adminAddress}/config_dump`)),
    );
    return views.every((view) => view !== null && /"connected": true/.test(view.body));
  });
  await moreRequests(100);
  const pushed = ['cluster', 'route', 'listener'].map((type) =>
    metric(mesh.controlPlane.adminAddress, 'tulle_control_plane_pushed_resources_total', `type="${type}"`),
  );
  t.same(await Promise.all(pushed), [0, 0, 0], 'nothing is sent that the sidecars have already');
  t.same([load.totals.failed, [...load.totals.reasons]], [0, []]);
});

t.test('a new template is rolled out without a failed request', async (t) => {
  const file = path.join(folder, 'catalog.yaml');
  const before = new Set(replicasOf(mesh, 'catalog').map(({ plan }) => plan.name));
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace('command: [node, apps/catalog.mjs]', 'command: [node, apps/catalog.mjs, again]'),
  );
  await until('new replicas have taken the place of the old ones', () => {
    const now = replicasOf(mesh, 'catalog');
    return now.length === 2 && now.every(({ plan, ready }) => ready && !before.has(plan.name));
  });
  await moreRequests(50);
  t.same([load.totals.failed, [...load.totals.reasons]], [0, []]);
});

t.test('certificates are renewed in time, without a failed request', async (t) => {
  await until('every sidecar has had three certificates', async () => {
    await noteCertificates();
    return mesh.replicas.every(({ plan }) => (certificates.get(plan.name)?.size ?? 0) >= 3);
  });
  await load.stop();
  t.same([load.totals.failed, [...load.totals.reasons]], [0, []]);
});

t.test('the end of the mesh is the end of all its processes', async (t) => {
  const pids = mesh.replicas.flatMap(({ appPid, sidecarPid }) => [appPid, sidecarPid]).concat(mesh.controlPlane.pid);
  await mesh.close();
  t.same(
    pids.filter((pid) => pid !== null && isAlive(pid)),
    [],
  );
});
