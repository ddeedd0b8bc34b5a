/**
 * A control plane over a folder of manifests that a test writes, and an address of this machine as the one endpoint of a Service.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { Logger } from '#base/log.ts';
import { startControlPlane } from '../../control-plane/control-plane.ts';
import type { ControlPlane } from '../../control-plane/control-plane.ts';
import { readSettings } from '../../control-plane/settings.ts';
import type { Source } from '../../control-plane/sources/source.ts';

export interface FolderMesh extends ControlPlane {
  /** Warnings and errors of its log so far: nacks, refusals, problems of manifests. */
  readonly warnings: readonly string[];
  /** Writes or replaces a manifest. */
  write(file: string, yaml: string): void;
}

/** `folder` must exist; manifests go to `manifests` below it, state to `state`. */
export async function startFolderMesh(
  folder: string,
  files: Readonly<Record<string, string>>,
  flags: Readonly<Record<string, readonly string[]>> = {},
  sources: readonly Source[] = [],
): Promise<FolderMesh> {
  const manifests = join(folder, 'manifests');
  mkdirSync(manifests, { recursive: true });
  const write = (file: string, yaml: string): void => writeFileSync(join(manifests, file), yaml);
  for (const [file, yaml] of Object.entries(files)) write(file, yaml);
  const settings = readSettings(
    {
      folder: [manifests],
      'state-dir': [join(folder, 'state')],
      'xds-address': ['127.0.0.1:0'],
      'admin-address': ['127.0.0.1:0'],
      ...flags,
    },
    {},
  );
  if (!settings.ok) throw new Error(JSON.stringify(settings.error.list));
  const warnings: string[] = [];
  const note: Logger['warn'] = (message, fields) => void warnings.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const log = { ...silentLogger, warn: note, error: note };
  return { ...(await startControlPlane(settings.value, { clock: systemClock, log, sources })), write, warnings };
}

/** A Service without selector and its endpoints, as one writes them for what runs outside of the mesh. */
export function serviceWithEndpoint(name: string, port: number, protocol: string, endpointPort: number): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: default }
spec:
  ports: [{ name: main, port: ${port}, appProtocol: ${protocol} }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}-1
  namespace: default
  labels: { kubernetes.io/service-name: ${name} }
addressType: IPv4
ports: [{ name: main, port: ${endpointPort} }]
endpoints: [{ addresses: [127.0.0.1], conditions: { ready: true } }]
`;
}
