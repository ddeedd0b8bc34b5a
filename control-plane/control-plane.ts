/**
 * The control plane, composed: sources -> world -> mesh -> resources -> clients, with identity and admin beside it.
 * Usable within any process; reads no flag and no environment.
 */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { Scope } from '#base/scope.ts';
import { startAdmin } from './admin/server.ts';
import type { AdminViews } from './admin/server.ts';
import { Metrics } from './admin/metrics.ts';
import type { Gauges } from './admin/metrics.ts';
import { AuthorityUpkeep } from './authority-upkeep.ts';
import { notAfterMs } from './identity/authority.ts';
import { FolderTokens, loadTokenKey } from './identity/tokens.ts';
import { MeshProvider } from './mesh-provider.ts';
import { MeshState } from './mesh-state.ts';
import { anonymousIn, proofOfIdentity } from './serve/authentication.ts';
import { Clients } from './serve/clients.ts';
import type { ServeObserver } from './serve/observer.ts';
import { DEFAULT_KEEP_ALIVE, plaintextCredentials, serve } from './serve/server.ts';
import type { ServeOptions } from './serve/server.ts';
import type { Settings } from './settings.ts';
import { FolderSource } from './sources/folder.ts';
import type { Source } from './sources/source.ts';

/** Streams open at the same time, over all connections. */
const MAX_CLIENTS = 10_000;

export interface ControlPlaneParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** Sources besides the folders of the settings. */
  readonly sources?: readonly Source[];
}

export interface ControlPlane {
  /** `host:port`, as bound. */
  readonly xdsAddress: string;
  /** Null when the settings name none. */
  readonly plaintextAddress: string | null;
  readonly adminAddress: string;
  /** PEM roots that sign the port of `xdsAddress`. */
  readonly caFile: string;
  /** A token that speaks for one workload. */
  issueToken(workload: { namespace: string; serviceAccount: string; pod: string }, lifeMs: number): string;
  close(): Promise<void>;
}

/** Resolves when everything was read once and clients are served; rejects, with nothing left open, when it cannot start. */
export async function startControlPlane(settings: Settings, parts: ControlPlaneParts): Promise<ControlPlane> {
  const scope = new Scope();
  try {
    return await start(settings, parts, scope);
  } catch (error) {
    await scope.close();
    throw error;
  }
}

/** What holds the state of a control plane, before any port is open. */
interface Core {
  readonly upkeep: AuthorityUpkeep;
  readonly tokens: FolderTokens;
  readonly clients: Clients;
  readonly metrics: Metrics;
  readonly state: MeshState;
  readonly provider: MeshProvider;
  /** For `/readyz`; null: clients are served. */
  notReady: string | null;
}

function createCore(settings: Settings, parts: ControlPlaneParts): Core {
  const { clock, log } = parts;
  const upkeep = new AuthorityUpkeep(settings, clock);
  const tokens = new FolderTokens(loadTokenKey(settings.stateDir), clock);
  const clients = new Clients(MAX_CLIENTS, (run) => void clock.after(0, run));
  const metrics = new Metrics(() => gauges(core, clock));
  const state = new MeshState({
    sources: [...folderSources(settings, parts), ...(parts.sources ?? [])],
    compile: settings,
    clusterIpRange: settings.clusterIpRange,
    clock,
    log,
    onChange: ({ mesh }) => {
      core.provider.setMesh(mesh);
      clients.wakeAll();
    },
    onCompiled: (durationMs) => metrics.compiled(durationMs),
  });
  const provider = new MeshProvider(state.compiled.mesh, () => upkeep.authority.trustBundle);
  const notReady = 'the manifests have not all been read';
  const core: Core = { upkeep, tokens, clients, metrics, state, provider, notReady };
  return core;
}

async function start(settings: Settings, parts: ControlPlaneParts, scope: Scope): Promise<ControlPlane> {
  const { clock, log } = parts;
  const core = createCore(settings, parts);
  const { upkeep, tokens, clients, metrics, state, provider } = core;
  // First to open and last to close: it says why nobody is served.
  const admin = await startAdmin(settings.adminAddress, adminViews(core));
  scope.add(() => admin.close());
  scope.add(() => state.close());
  // Clients are let in when everything was read: nobody is ever told half of a mesh.
  await state.start();
  core.notReady = 'the port of the clients is not open';
  scope.add(upkeep.start(log));
  const authentication = proofOfIdentity(tokens, settings.trustDomain);
  const { authority, credentials, caFile } = upkeep;
  const options: ServeOptions = {
    provider,
    clients,
    authentication,
    authority,
    clock,
    observer: observe(metrics, log),
    keepAlive: DEFAULT_KEEP_ALIVE,
  };
  const xds = await serve(settings.xdsAddress, credentials, options);
  scope.add(() => xds.close());
  const plaintextAddress = await servePlaintext(settings, options, scope);
  core.notReady = null;
  scope.add(() => {
    core.notReady = 'the control plane is ending';
  });
  log.info('serving', {
    xds: xds.address,
    plaintext: plaintextAddress ?? undefined,
    admin: admin.address,
    objects: state.objectCount,
  });
  return {
    xdsAddress: xds.address,
    plaintextAddress,
    adminAddress: admin.address,
    caFile,
    issueToken: (workload, lifeMs) => tokens.issue(workload, lifeMs),
    close: async () => void (await scope.close()),
  };
}

function adminViews(core: Core): AdminViews {
  const { state, metrics, clients } = core;
  return {
    notReady: () => core.notReady,
    metrics,
    debug: {
      clients: () => clients.views(),
      mesh: () => state.compiled.mesh,
      conditions: () => state.compiled.conditions,
      problems: () => state.problems,
    },
  };
}

function folderSources(settings: Settings, { clock, log }: ControlPlaneParts): readonly Source[] {
  return settings.folders.length === 0 ? [] : [new FolderSource({ roots: settings.folders, clock, log })];
}

async function servePlaintext(settings: Settings, options: ServeOptions, scope: Scope): Promise<string | null> {
  if (settings.plaintextAddress === null) return null;
  const authentication = anonymousIn(settings.plaintextNamespace);
  const plain = await serve(settings.plaintextAddress, plaintextCredentials(), { ...options, authentication });
  scope.add(() => plain.close());
  return plain.address;
}

function observe(metrics: Metrics, log: Logger): ServeObserver {
  return {
    connected: (client) => log.info('client connected', { client }),
    disconnected: (client, reason) => log.info('client left', { client, reason: reason === '' ? undefined : reason }),
    pushed: (type, resources, _removed, durationMs) => metrics.pushed(type, resources, durationMs),
    acked: (type) => metrics.acked(type),
    nacked: (client, type, reason, names) => {
      metrics.nacked(type);
      log.warn('client refused an update', {
        client,
        type: type.slice(type.lastIndexOf('.') + 1),
        reason,
        names: names.slice(0, 10),
      });
    },
    failed: (client, error) => log.error('a client could not be served', { client, error: describe(error) }),
    refused: (peer, reason) => {
      metrics.refused();
      log.warn('call refused', { peer, reason });
    },
  };
}

/** With the stack: this is a defect of ours. */
function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function gauges({ state, clients, provider, upkeep }: Core, clock: Clock): Gauges {
  const { authority } = upkeep;
  return {
    clients: clients.size,
    pending: clients.pending,
    objects: state.objectCount,
    problems: state.problems.length,
    encodings: provider.encodings,
    certificatesIssued: authority.issued,
    rootExpirySeconds: (notAfterMs(authority.root) - clock.wall()) / 1000,
    issuerExpirySeconds: (notAfterMs(authority.issuer) - clock.wall()) / 1000,
  };
}
