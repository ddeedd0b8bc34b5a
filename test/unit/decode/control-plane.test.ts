/**
 * Whatever the control plane generates for sidecars, sidecars take: every resource of every golden mesh, for every workload.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { TYPE, type ResourceType } from '#api/names.ts';
import { formatProblem, type Problems } from '#base/problems.ts';
import type { Result } from '#base/result.ts';
import { compile } from '../../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../../control-plane/compile/compiled.ts';
import { generateResource } from '../../../control-plane/generate/resources.ts';
import { decodeCluster } from '../../../proxy/config/decode/cluster.ts';
import { decodeEndpoints } from '../../../proxy/config/decode/endpoints.ts';
import { decodeListener } from '../../../proxy/config/decode/listener.ts';
import { decodeRoute } from '../../../proxy/config/decode/route.ts';
import { worldOf } from '../../support/manifests.ts';

const FOLDER = join(import.meta.dirname, '../../golden/compile');

const DECODERS: readonly (readonly [ResourceType, (bytes: Uint8Array) => Result<unknown, Problems>])[] = [
  [TYPE.listener, decodeListener],
  [TYPE.route, decodeRoute],
  [TYPE.cluster, decodeCluster],
  [TYPE.endpoints, decodeEndpoints],
];

for (const file of globSync('*.in.yaml', { cwd: FOLDER })) {
  t.test(`sidecars take everything of ${file}`, async (t) => {
    const { mesh } = compile(worldOf(readFileSync(join(FOLDER, file), 'utf8')), DEFAULT_COMPILE_OPTIONS);
    const services = [...mesh.services.values()].flatMap(({ host, ports }) =>
      ports.map(({ port }) => `${host}:${port}`),
    );
    const pods = [...mesh.workloads.values()].flatMap(({ addresses, inboundPorts }) =>
      addresses.flatMap((address) => inboundPorts.map(({ port }) => `${address}:${port}`)),
    );
    const inbound = [...mesh.workloads.values()].flatMap(({ inboundPorts }) =>
      inboundPorts.map(({ port }) => `inbound|${port}`),
    );
    const names = new Set(['inbound', 'passthrough', ...services, ...pods, ...inbound]);
    const refused: string[] = [];
    let taken = 0;
    for (const [workload, { namespace }] of mesh.workloads) {
      for (const [type, decode] of DECODERS) {
        for (const name of names) {
          const made = generateResource(mesh, { namespace, workload, dialect: 'sidecar' }, type, name, '');
          if (made === null) continue;
          const decoded = decode(made.message);
          if (decoded.ok) taken++;
          else refused.push(...decoded.error.list.map((p) => `${type} ${name}: ${formatProblem(p)}`));
        }
      }
    }
    t.same(refused, []);
    t.ok(mesh.workloads.size === 0 || taken > 0, `${taken} resources`);
  });
}
