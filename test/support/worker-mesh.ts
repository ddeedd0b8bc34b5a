/**
 * Two workers in this process and an application: client -> outbound -> mutual TLS -> inbound -> application.
 * Test-only.
 */
import type { Test } from 'tap';
import { inboundCluster } from '#api/names.ts';
import type { RetryConfig } from '../../proxy/config/retries.ts';
import type { TestAuthority } from './identities.ts';
import { openWire, rawUpstream, type RawUpstream, type Wire } from './raw-http.ts';
import {
  change,
  cluster,
  destination,
  endpoint,
  inboundListener,
  opaqueDestination,
  route,
  startWorker,
  type TestWorker,
} from './worker.ts';

export interface WorkerMesh {
  readonly app: RawUpstream;
  readonly client: TestWorker;
  readonly server: TestWorker;
  connect(): Promise<Wire>;
}

export interface WorkerMeshOptions {
  readonly authority: TestAuthority;
  /** Loopback address of the inbound side; files that run at the same time take different ones. */
  readonly podAddress: string;
  readonly mode: 'PERMISSIVE' | 'STRICT';
  /** The port is declared as opaque: bytes, not requests. */
  readonly opaque?: boolean;
  /** Service account that the client's side expects; the inbound side is `echo`. */
  readonly expected?: string;
  /** Of the client's route; the default one when left out. */
  readonly retry?: RetryConfig | null;
}

/** Everything is closed with the test. */
export async function workerMesh(
  t: Test,
  { authority, podAddress, mode, opaque = false, expected = 'echo', retry }: WorkerMeshOptions,
  onConnection: (wire: Wire) => void,
): Promise<WorkerMesh> {
  const app = await rawUpstream(onConnection);
  const server = await startWorker({
    outbound: null,
    podAddresses: [podAddress],
    pod: { namespace: 'default', name: 'echo-1', owner: 'echo', serviceAccount: 'echo' },
  });
  server.worker.receive({ kind: 'identity', identity: authority.identity('echo') });
  const name = inboundCluster(app.port);
  server.apply(
    change({
      trust: authority.trust,
      clusters: new Map([[name, cluster(name, [endpoint(app.port)], { discovery: 'static' })]]),
      listeners: new Map([['inbound', inboundListener(app.port, mode, opaque)]]),
    }),
  );
  await server.port('inbound');
  const meshed = endpoint(app.port, { address: podAddress, mtls: true, identity: authority.spiffeId(expected) });
  const echo = cluster('echo:80', [meshed]);
  const routes = retry === undefined ? undefined : [route('echo:80', { retry })];
  const client = await startWorker(
    { explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port: 0 }] },
    new Map([['echo:80', opaque ? opaqueDestination('echo:80', echo) : destination('echo:80', echo, routes)]]),
  );
  client.worker.receive({ kind: 'identity', identity: authority.identity('client') });
  client.apply(change({ trust: authority.trust }));
  const wires: Wire[] = [];
  t.teardown(async () => {
    for (const wire of wires) wire.socket.destroy();
    app.close();
    await client.close();
    await server.close();
  });
  return {
    app,
    client,
    server,
    connect: async () => {
      const wire = await openWire(await client.port('echo:80'));
      wires.push(wire);
      return wire;
    },
  };
}
