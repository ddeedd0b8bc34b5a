/**
 * Settings of the sidecar: flags, environment (`TULLE_<FLAG>`), then a YAML or JSON file, each with the same names.
 * One table says everything about an option; all mistakes are told together. Starts nothing.
 */
import { LOG_LEVELS, type LogLevel } from '#base/log.ts';
import { Problems } from '#base/problems.ts';
import { err, ok, type Result } from '#base/result.ts';
import {
  anyText,
  concurrency,
  dnsServer,
  duration,
  HOUR,
  integer,
  ipAddress,
  kubernetesName,
  listenAddress,
  namedListen,
  oneOf,
  hostPort,
  option,
  optionalIp,
  optionalListen,
  text,
  type Option,
} from './option-forms.ts';
import type { HostPort, WorkerSettings } from './worker/messages.ts';

export interface Settings {
  readonly controlPlane: HostPort & {
    /** Name that the control plane's certificate must carry. */
    readonly serverName: string;
    readonly caFile: string;
    readonly tokenFile: string;
  };
  readonly adminAddress: HostPort;
  readonly metricsAddress: HostPort;
  readonly logLevel: LogLevel;
  readonly logFormat: 'text' | 'json';
  /** Empty: the control plane may know. */
  readonly zone: string;
  /** Life to ask for in certificates. */
  readonly leafTtlMs: number;
  /** How many destinations are followed at most. */
  readonly maxDestinations: number;
  /** Worker threads; 1: everything in the main thread. */
  readonly concurrency: number;
  readonly worker: WorkerSettings;
}

/** Every setting there is, in the order of the help text. */
const OPTIONS: readonly Option[] = [
  option('control-plane', 'HOST:PORT', '127.0.0.1:15012', hostPort, 'gRPC address of the control plane'),
  option('control-plane-name', 'NAME', '', anyText, "name in the control plane's certificate; default: its host"),
  option('ca-file', 'PATH', undefined, text, 'PEM roots that sign the control plane'),
  option('token-file', 'PATH', undefined, text, 'bearer token of this workload; read again at each connect'),
  option('pod-name', 'NAME', undefined, kubernetesName, 'name of this pod'),
  option('namespace', 'NAME', undefined, kubernetesName, 'namespace of this pod'),
  option('service-account', 'NAME', 'default', kubernetesName, 'service account of this pod'),
  option('owner', 'NAME', '', anyText, 'Deployment or other owner, for metrics; default: the pod name'),
  option('zone', 'NAME', '', anyText, 'zone that this pod runs in; default: as the control plane knows'),
  option('trust-domain', 'NAME', 'cluster.local', kubernetesName, 'SPIFFE trust domain'),
  option('capture', 'MODE', 'redirect', oneOf('redirect', 'explicit'), 'how connections come here'),
  option('outbound', 'ADDRESS:PORT', '127.0.0.1:15001', optionalListen, 'captured outbound connections, or none'),
  option('http-proxy', 'ADDRESS:PORT', '', anyText, 'explicit: HTTP proxy port of the application; default: outbound'),
  option('inbound', 'ADDRESS:PORT', '0.0.0.0:15006', optionalListen, 'captured inbound connections, or none'),
  { ...option('pod-address', 'ADDRESS', '', ipAddress, 'address of this pod'), repeatable: true },
  option('app-address', 'ADDRESS', '', optionalIp, 'where the application listens; explicit: 127.0.0.1'),
  {
    ...option('outbound-listen', 'HOST:PORT=ADDRESS:PORT', '', namedListen, 'explicit: a port for one destination'),
    repeatable: true,
  },
  option('admin-address', 'ADDRESS:PORT', '127.0.0.1:15000', listenAddress, 'admin, for this pod only'),
  option('metrics-address', 'ADDRESS:PORT', '0.0.0.0:15020', listenAddress, 'metrics and probes, for the cluster'),
  option(
    'unknown-destinations',
    'WHAT',
    'mesh',
    oneOf('mesh', 'passthrough', 'refuse'),
    'what happens to traffic that leaves the mesh; mesh: as its MeshPolicy says',
  ),
  { ...option('dns-server', 'ADDRESS[:PORT]', '', dnsServer, 'instead of those of the system'), repeatable: true },
  option('hosts-file', 'PATH', '/etc/hosts', anyText, 'names that are not asked for, or none'),
  option('dns-min-ttl', 'DURATION', '1s', duration(100, HOUR), 'a name is not asked for more often'),
  option('dns-max-ttl', 'DURATION', '5m', duration(1000, 24 * HOUR), 'a name is asked for at least so often'),
  option('destination-idle', 'DURATION', '5m', duration(1000, 24 * HOUR), 'unused destinations are let go after it'),
  option('max-destinations', 'COUNT', '5000', integer(1, 100_000), 'destinations followed at most'),
  option('access-log', 'WHAT', 'off', oneOf('off', 'json'), 'one line a request, and a connection of opaque bytes'),
  option('access-log-path', 'PATH', '', anyText, 'file of the access log; default: standard output'),
  option('log-level', 'LEVEL', 'info', oneOf(...LOG_LEVELS), 'least level that is written'),
  option('log-format', 'FORMAT', 'text', oneOf('text', 'json'), 'form of log lines'),
  option('concurrency', 'COUNT', '1', concurrency, 'worker threads; auto: one for each CPU it may use'),
  option('max-head-bytes', 'BYTES', '65536', integer(1024, 1_048_576), 'head of a message, all fields'),
  option('max-fields', 'COUNT', '100', integer(10, 10_000), 'header fields of a message'),
  option('max-target-bytes', 'BYTES', '16384', integer(256, 1_048_576), 'request target'),
  option('max-body-bytes', 'BYTES', '0', integer(0, 999_999_999_999), 'body of a request; 0: no limit'),
  option('max-connections', 'COUNT', '10000', integer(1, 1_000_000), 'downstream connections'),
  option('head-timeout', 'DURATION', '10s', duration(100, HOUR), 'time for a request head to arrive'),
  option('body-idle', 'DURATION', '1m', duration(0, 24 * HOUR), 'silence within a request body; 0s: any; not in gRPC'),
  option(
    'flush-timeout',
    'DURATION',
    '5m',
    duration(100, 24 * HOUR),
    'time in which a client takes nothing of an answer',
  ),
  option('buffer-bytes', 'BYTES', '65536', integer(4096, 16_777_216), 'kept for a slow side before the other pauses'),
  option('downstream-idle', 'DURATION', '1h', duration(1000, 24 * HOUR), 'idle downstream connections close after it'),
  option('app-idle', 'DURATION', '3s', duration(100, HOUR), 'idle connections to the application close after it'),
  option('peer-idle', 'DURATION', '1m', duration(100, 24 * HOUR), 'idle connections to peers close after it'),
  option(
    'tcp-keepalive',
    'DURATION',
    '30s',
    duration(0, 2 * HOUR),
    'silence until TCP asks whether the other side is there; it counts as gone after half as long again; 0s: never',
  ),
  option('drain-deadline', 'DURATION', '25s', duration(0, HOUR), 'time for requests to finish at the end'),
  option('leaf-ttl', 'DURATION', '24h', duration(10_000, 720 * HOUR), 'life to ask for in certificates'),
];

/** Variables that Kubernetes sets for a Service whose name begins with `tulle`. */
const SERVICE_LINK = /_(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_[A-Z]+)?)?)$/;

const BY_NAME = new Map(OPTIONS.map((o) => [o.name, o]));

/** Values as given, by option name; a later source does not replace an earlier one. */
type Given = Map<string, { readonly values: readonly string[]; readonly from: string }>;

/** Everything that `readSettings` may look at. */
export interface SettingsSources {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string) => Promise<string>;
}

/** The settings, or every mistake in them. */
export async function readSettings(sources: SettingsSources): Promise<Result<Settings, Problems>> {
  const problems = new Problems();
  const given: Given = new Map();
  const configPath = readFlags(sources.argv, given, problems) ?? sources.env['TULLE_CONFIG'];
  readEnvironment(sources.env, given, problems);
  if (configPath !== undefined) await readFileSettings(configPath, sources.readFile, given, problems);
  const values = new Map<string, unknown>();
  for (const o of OPTIONS) values.set(o.name, valueOf(o, given, problems));
  const settings = assemble(values, given, problems);
  return problems.isEmpty ? ok(settings) : err(problems);
}

/** The help text: one line an option. */
export function settingsHelp(): string {
  const lines = OPTIONS.map((o) => {
    const shown = o.fallback === undefined ? ' (required)' : o.fallback === '' ? '' : ` (${o.fallback})`;
    return `  --${`${o.name} ${o.value}`.padEnd(40)} ${o.help}${shown}`;
  });
  return ['Settings, also as TULLE_<NAME> in the environment and as keys of the file --config PATH:', ...lines].join(
    '\n',
  );
}

/** Fills `given` from flags; the value of `--config`, if there is one. */
function readFlags(argv: readonly string[], given: Given, problems: Problems): string | undefined {
  let configPath: string | undefined;
  for (let i = 0; i < argv.length; i++) {
    const [flag, inline] = splitOnce(argv[i] ?? '', '=');
    const name = flag.slice(2);
    if (!flag.startsWith('--') || (name !== 'config' && !BY_NAME.has(name))) {
      problems.add(flag, 'there is no such setting', nearest(name));
      // The next word may be its value: no second complaint about that.
      if (inline === undefined && !(argv[i + 1] ?? '--').startsWith('--')) i++;
      continue;
    }
    const value = inline ?? argv[++i];
    if (value === undefined) problems.add(flag, 'needs a value');
    else if (name === 'config') configPath = value;
    else addFlag(name, value, given, problems);
  }
  return configPath;
}

function addFlag(name: string, value: string, given: Given, problems: Problems): void {
  const before = given.get(name);
  if (before !== undefined && BY_NAME.get(name)?.repeatable !== true) {
    problems.add(`--${name}`, 'is given twice');
    return;
  }
  given.set(name, { values: [...(before?.values ?? []), value], from: `--${name}` });
}

function readEnvironment(env: SettingsSources['env'], given: Given, problems: Problems): void {
  for (const [key, value] of Object.entries(env)) {
    if (!key.startsWith('TULLE_') || value === undefined || key === 'TULLE_CONFIG') continue;
    const name = key.slice(6).toLowerCase().replaceAll('_', '-');
    const found = BY_NAME.get(name);
    if (SERVICE_LINK.test(key)) continue;
    if (found === undefined) problems.add(key, 'there is no such setting', nearest(name));
    else if (!given.has(name)) {
      given.set(name, { values: found.repeatable ? value.split(',').filter((v) => v !== '') : [value], from: key });
    }
  }
}

async function readFileSettings(
  path: string,
  readFile: SettingsSources['readFile'],
  given: Given,
  problems: Problems,
): Promise<void> {
  let content: unknown;
  try {
    // Loaded only on demand: most sidecars have no file, and YAML costs memory.
    const { parse } = await import('yaml');
    content = parse(await readFile(path), { maxAliasCount: 0 });
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
    problems.add('--config', `${path} cannot be read: ${reason}`);
    return;
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    problems.add('--config', `${path} must hold a map of settings`);
    return;
  }
  for (const [name, value] of Object.entries(content)) addFromFile(path, name, value, given, problems);
}

function addFromFile(path: string, name: string, value: unknown, given: Given, problems: Problems): void {
  const found = BY_NAME.get(name);
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const from = `${path}: ${name}`;
  if (found === undefined) problems.add(from, 'there is no such setting', nearest(name));
  else if (list.some((v) => typeof v !== 'string' && typeof v !== 'number') || (list.length !== 1 && !found.repeatable))
    problems.add(from, `must be ${found.repeatable ? 'a list of' : 'one'} text or number`);
  else if (!given.has(name)) given.set(name, { values: list.map(String), from });
}

function valueOf(o: Option, given: Given, problems: Problems): unknown {
  const found = given.get(o.name);
  if (o.repeatable) {
    return (found?.values ?? []).map((v) => parsed(o, v, found?.from ?? '', problems)).filter((v) => v !== undefined);
  }
  const value = found?.values[0] ?? o.fallback;
  if (value === undefined) {
    problems.add(`--${o.name}`, 'must be given', o.help);
    return undefined;
  }
  return parsed(o, value, found?.from ?? `--${o.name}`, problems);
}

function parsed(o: Option, value: string, from: string, problems: Problems): unknown {
  const result = o.parse(value);
  if (result.ok) return result.value;
  problems.add(from, result.error, `not ${JSON.stringify(value)}`);
  return undefined;
}

/** The parsed value of an option. */
type Read = (name: string) => never;

/** Types hold when `problems` is empty; else the caller throws the result away. */
function assemble(values: ReadonlyMap<string, unknown>, given: Given, problems: Problems): Settings {
  // Each option's parser has made what its reader expects; the table cannot say so to the compiler.
  const get: Read = (name) => values.get(name) as never;
  const controlPlane: HostPort = get('control-plane') ?? { address: '', port: 0 };
  return {
    controlPlane: {
      ...controlPlane,
      serverName: get('control-plane-name') || controlPlane.address,
      caFile: get('ca-file'),
      tokenFile: get('token-file'),
    },
    adminAddress: get('admin-address'),
    metricsAddress: get('metrics-address'),
    logLevel: get('log-level'),
    logFormat: get('log-format'),
    zone: get('zone'),
    leafTtlMs: get('leaf-ttl'),
    maxDestinations: get('max-destinations'),
    concurrency: get('concurrency'),
    worker: workerSettings(get, given, problems),
  };
}

function workerSettings(get: Read, given: Given, problems: Problems): WorkerSettings {
  const captureMode: WorkerSettings['captureMode'] = get('capture');
  const explicit = captureMode === 'explicit';
  for (const name of ['http-proxy', 'outbound-listen']) {
    const found = given.get(name);
    if (found !== undefined && !explicit) problems.add(found.from, 'has an effect only with --capture explicit');
  }
  const proxyPort: string = get('http-proxy');
  const outbound = proxyPort === '' ? ok(get('outbound')) : optionalListen(proxyPort);
  if (!outbound.ok) problems.add('--http-proxy', outbound.error, `not ${JSON.stringify(proxyPort)}`);
  return {
    captureMode,
    outbound: outbound.ok ? (outbound.value as HostPort | null) : null,
    inbound: get('inbound'),
    podAddresses: get('pod-address'),
    appAddress: get('app-address') ?? (explicit ? '127.0.0.1' : null),
    explicitListens: get('outbound-listen'),
    unknownDestinations: get('unknown-destinations'),
    dns: {
      servers: get('dns-server'),
      hostsFile: get('hosts-file'),
      minTtlMs: get('dns-min-ttl'),
      maxTtlMs: get('dns-max-ttl'),
    },
    destinationIdleMs: get('destination-idle'),
    limits: {
      maxHeadBytes: get('max-head-bytes'),
      maxFields: get('max-fields'),
      maxTargetBytes: get('max-target-bytes'),
      maxBodyBytes: get('max-body-bytes'),
      maxConnections: get('max-connections'),
      headTimeoutMs: get('head-timeout'),
      patience: { bodyIdleMs: get('body-idle'), flushMs: get('flush-timeout') },
      bufferBytes: get('buffer-bytes'),
    },
    accessLog: get('access-log'),
    accessLogPath: get('access-log-path'),
    drainDeadlineMs: get('drain-deadline'),
    pod: {
      namespace: get('namespace'),
      name: get('pod-name'),
      owner: get('owner') || get('pod-name'),
      serviceAccount: get('service-account'),
    },
    trustDomain: get('trust-domain'),
    downstreamIdleMs: get('downstream-idle'),
    appIdleMs: get('app-idle'),
    peerIdleMs: get('peer-idle'),
    keepAliveMs: get('tcp-keepalive'),
  };
}

function splitOnce(word: string, separator: string): readonly [string, string | undefined] {
  const at = word.indexOf(separator);
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

/** Advice for a misspelt name: the setting that shares the longest beginning, if that is long enough to be meant. */
function nearest(name: string): string {
  const shared = (other: string): number => {
    let n = 0;
    while (n < name.length && name[n] === other[n]) n++;
    return n;
  };
  const best = OPTIONS.toSorted((a, b) => shared(b.name) - shared(a.name))[0]?.name ?? '';
  return shared(best) >= 3 ? `did you mean ${best}` : 'see --help';
}
