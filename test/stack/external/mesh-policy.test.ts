/**
 * What becomes of destinations that the mesh does not know: MeshPolicy, annotation and setting, changed while sidecars run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { WorkerSettings } from '../../../proxy/worker/messages.ts';
import { startFolderMesh, type FolderMesh } from '../../support/folder-mesh.ts';
import { startFolderSidecar, type FolderSidecar } from '../../support/folder-sidecar.ts';
import { askProxy, outsideHttp } from '../../support/outside.ts';
import { openWire } from '../../support/raw-http.ts';

function policy(unknownDestinations: string): string {
  return `
apiVersion: tulle.dev/v1alpha1
kind: MeshPolicy
metadata: { name: default }
spec: { outbound: { unknownDestinations: ${unknownDestinations} } }
`;
}

function namespace(value: string): string {
  return `
apiVersion: v1
kind: Namespace
metadata: { name: shop, annotations: { tulle.dev/unknown-destinations: ${value} } }
`;
}

async function meshWith(t: Test, files: Readonly<Record<string, string>>): Promise<FolderMesh> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-policy-'));
  const mesh = await startFolderMesh(folder, files);
  t.teardown(async () => {
    await mesh.close();
    rmSync(folder, { recursive: true });
  });
  return mesh;
}

async function sidecarOf(t: Test, mesh: FolderMesh, more: Partial<WorkerSettings> = {}): Promise<FolderSidecar> {
  const pod = { namespace: 'shop', name: 'web-1', owner: 'web', serviceAccount: 'web' };
  const sidecar = await startFolderSidecar(mesh, pod, more);
  t.teardown(() => sidecar.close());
  return sidecar;
}

t.setTimeout(30_000);

t.test('the policy is in force at once, and so is every change of it', async (t) => {
  const outside = await outsideHttp('outside');
  t.teardown(() => outside.close());
  const mesh = await meshWith(t, { 'policy.yaml': policy('Refuse') });
  const named = `127.0.0.1:${outside.port}`;
  const sidecar = await sidecarOf(t, mesh, { explicitListens: [{ name: named, address: '127.0.0.1', port: 0 }] });
  const get = (): ReturnType<typeof askProxy> => askProxy(sidecar.port('outbound'), `http://${named}/`);
  const until = async (status: number): Promise<void> => {
    while ((await get()).status !== status) await sidecar.settled();
  };
  t.match(await get(), { status: 502, reason: 'unknown-destination' }, 'from the first request on');
  const refused = sidecar.metric('tulle_unknown_destinations_total', 'outcome="refused"');
  const wire = await openWire(sidecar.port(named));
  wire.write('\x00\x01 no HTTP\n');
  t.equal(await wire.closed(), '', 'what is no HTTP is closed');
  t.equal(sidecar.metric('tulle_unknown_destinations_total', 'outcome="refused"'), refused + 1, 'and counted');

  mesh.write('policy.yaml', policy('PassThrough'));
  await until(200);
  mesh.write('namespace.yaml', namespace('Refuse'));
  await until(502);
  mesh.write('policy.yaml', policy('Refuse'));
  mesh.write('namespace.yaml', namespace('PassThrough'));
  await until(200);
  t.ok(sidecar.metric('tulle_unknown_destinations_total', 'outcome="passed"') >= 2);
  t.same(mesh.warnings, []);
});

t.test("the sidecar's own setting comes before the mesh and the namespace", async (t) => {
  const outside = await outsideHttp('outside');
  t.teardown(() => outside.close());
  const mesh = await meshWith(t, { 'policy.yaml': policy('Refuse'), 'namespace.yaml': namespace('Refuse') });
  const status = async (unknownDestinations: WorkerSettings['unknownDestinations']): Promise<number> => {
    const sidecar = await sidecarOf(t, mesh, { unknownDestinations });
    return (await askProxy(sidecar.port('outbound'), `http://127.0.0.1:${outside.port}/`)).status;
  };
  t.same([await status('mesh'), await status('passthrough')], [502, 200]);
  mesh.write('policy.yaml', policy('PassThrough'));
  mesh.write('namespace.yaml', namespace('PassThrough'));
  t.equal(await status('refuse'), 502);
});

t.test('without a policy what is unknown passes, and a value that does not count is told', async (t) => {
  const outside = await outsideHttp('outside');
  t.teardown(() => outside.close());
  const mesh = await meshWith(t, { 'namespace.yaml': namespace('refuse') });
  const sidecar = await sidecarOf(t, mesh);
  t.equal((await askProxy(sidecar.port('outbound'), `http://127.0.0.1:${outside.port}/`)).status, 200);
  t.match(mesh.warnings.join('\n'), /unknown-destinations is "refuse" and does not count: write PassThrough or Refuse/);
});
