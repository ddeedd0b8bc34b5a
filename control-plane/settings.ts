/**
 * Settings of the control plane: flags, then environment (`TULLE_<FLAG>`), then defaults. One table says everything about an option.
 * All mistakes are told together. Starts nothing.
 */
import { DURATION_ADVICE, parseDuration } from '#base/duration.ts';
import { LOG_LEVELS } from '#base/log.ts';
import type { LogLevel } from '#base/log.ts';
import { Problems } from '#base/problems.ts';
import { err, ok } from '#base/result.ts';
import type { Result } from '#base/result.ts';
import { isTrustDomain } from './identity/spiffe-id.ts';
import type { MtlsMode } from './model/mesh.ts';
import { parseClusterIpRange } from './sources/cluster-ips.ts';
import type { ClusterIpRange } from './sources/cluster-ips.ts';

export interface Settings {
  /** Folders of manifests, in order of precedence. */
  readonly folders: readonly string[];
  /** Keys and certificates; private to this user. */
  readonly stateDir: string;
  /** `host:port`; port 0 takes any free one. */
  readonly xdsAddress: string;
  /** Further names and addresses in the certificate of the xDS port. */
  readonly serverNames: readonly string[];
  /** Loopback `host:port` without TLS for clients that know neither tokens nor certificates; null: none. */
  readonly plaintextAddress: string | null;
  /** What the clients of the plaintext port may see. */
  readonly plaintextNamespace: string;
  /** From a connection to the end of its TLS handshake. */
  readonly handshakeTimeoutMs: number;
  readonly adminAddress: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly defaultMtlsMode: MtlsMode;
  /** Where Services that name no cluster IP get one from; null: they have none. */
  readonly clusterIpRange: ClusterIpRange | null;
  /** The longest life of a workload's certificate. */
  readonly leafTtlMs: number;
  readonly logLevel: LogLevel;
  readonly logFormat: 'text' | 'json';
}

/** What an option's text becomes, or the sentence that says what it must be. */
type Parse<T> = (text: string) => Result<T, string>;

export interface OptionHelp {
  readonly flag: string;
  readonly value: string;
  readonly help: string;
  /** Undefined: must be given, or may be missing if repeatable. */
  readonly fallback: string | undefined;
  readonly repeatable: boolean;
}

const HOUR_MS = 3_600_000;

const text: Parse<string> = (value) => (value === '' ? err('must not be empty') : ok(value));

function oneOf<T extends string>(...words: readonly T[]): Parse<T> {
  return (value) => {
    const word = words.find((candidate) => candidate === value);
    return word === undefined ? err(`must be one of ${words.join(', ')}`) : ok(word);
  };
}

function duration(minMs: number, maxMs: number): Parse<number> {
  return (value) => {
    const ms = parseDuration(value);
    if (ms === null) return err(`is no duration; ${DURATION_ADVICE}`);
    return ms >= minMs && ms <= maxMs ? ok(ms) : err(`must be from ${minMs} to ${maxMs} milliseconds`);
  };
}

const listenAddress: Parse<string> = (value) => {
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(value);
  return match !== null && Number(match[1]) <= 65_535
    ? ok(value)
    : err('must be HOST:PORT, IPv6 addresses in brackets');
};

const loopbackAddress: Parse<string | null> = (value) => {
  if (value === '') return ok(null);
  if (!/^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost):/.test(value))
    return err('must be a loopback address: it takes everybody');
  return listenAddress(value);
};

const trustDomain: Parse<string> = (value) =>
  isTrustDomain(value) ? ok(value) : err('must be made of a to z, 0 to 9, dot, dash and underscore');

const dnsName: Parse<string> = (value) =>
  /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(value)
    ? ok(value)
    : err('must be a name of lower-case letters, digits, dashes and dots');

const serverName: Parse<string> = (value) =>
  /^[0-9a-fA-F:]*:[0-9a-fA-F:.]*$/.test(value) || dnsName(value).ok
    ? ok(value)
    : err('must be a DNS name or an IP address');

const clusterIpRange: Parse<ClusterIpRange | null> = (value) => (value === '' ? ok(null) : parseClusterIpRange(value));

interface Option<T> extends OptionHelp {
  readonly parse: Parse<T>;
}

function option<T>(
  flag: string,
  value: string,
  fallback: string | undefined,
  parse: Parse<T>,
  help: string,
): Option<T> {
  return { flag, value, fallback, parse, help, repeatable: false };
}

function repeatable<T>(flag: string, value: string, parse: Parse<T>, help: string): Option<T> {
  return { flag, value, fallback: undefined, parse, help, repeatable: true };
}

/** Every setting there is, in the order of the help text. */
const OPTIONS = {
  folders: repeatable('folder', 'DIR', text, 'folder of manifests, watched; the first wins where two define the same'),
  stateDir: option('state-dir', 'DIR', undefined, text, 'keys and certificates, made at first start'),
  xdsAddress: option(
    'xds-address',
    'HOST:PORT',
    '127.0.0.1:15012',
    listenAddress,
    'gRPC port of sidecars and other clients',
  ),
  serverNames: repeatable('server-name', 'NAME', serverName, 'further name or address in the certificate of that port'),
  plaintextAddress: option(
    'xds-plaintext-address',
    'HOST:PORT',
    '',
    loopbackAddress,
    'the same without TLS, on loopback, for clients without identity',
  ),
  plaintextNamespace: option(
    'xds-plaintext-namespace',
    'NAME',
    'default',
    dnsName,
    'namespace of the clients without identity',
  ),
  handshakeTimeoutMs: option(
    'handshake-timeout',
    'DURATION',
    '10s',
    duration(100, HOUR_MS),
    'time for a TLS handshake on the gRPC port',
  ),
  adminAddress: option(
    'admin-address',
    'HOST:PORT',
    '127.0.0.1:15014',
    listenAddress,
    'health, metrics and debug views',
  ),
  trustDomain: option('trust-domain', 'NAME', 'cluster.local', trustDomain, 'SPIFFE trust domain'),
  clusterDomain: option('cluster-domain', 'NAME', 'cluster.local', dnsName, 'last part of service names'),
  defaultMtlsMode: option(
    'default-mtls-mode',
    'MODE',
    'PERMISSIVE',
    oneOf('PERMISSIVE', 'STRICT'),
    'for workloads that say nothing',
  ),
  clusterIpRange: option('cluster-ip-range', 'CIDR', '', clusterIpRange, 'IPv4 addresses for Services that name none'),
  leafTtlMs: option(
    'leaf-ttl',
    'DURATION',
    '24h',
    duration(10_000, 720 * HOUR_MS),
    "longest life of a workload's certificate",
  ),
  logLevel: option('log-level', 'LEVEL', 'info', oneOf(...LOG_LEVELS), 'least level that is written'),
  logFormat: option('log-format', 'FORMAT', 'text', oneOf('text', 'json'), 'form of log lines'),
} as const;

/** For the command line: names, values and help of all options. */
export const OPTION_HELP: readonly OptionHelp[] = Object.values(OPTIONS);

/** Values by flag, as given on the command line. */
export type GivenFlags = Readonly<Record<string, readonly string[]>>;

/** The settings, or every mistake in them. Repeatable settings are separated by commas in the environment. */
export function readSettings(
  flags: GivenFlags,
  env: Readonly<Record<string, string | undefined>>,
): Result<Settings, Problems> {
  const problems = new Problems();
  const given = (flag: string, isList: boolean): { values: readonly string[]; from: string } => {
    const values = flags[flag];
    if (values !== undefined && values.length > 0) return { values, from: `--${flag}` };
    const name = `TULLE_${flag.toUpperCase().replaceAll('-', '_')}`;
    const value = env[name];
    if (value === undefined) return { values: [], from: `--${flag}` };
    return { values: isList ? value.split(',') : [value], from: name };
  };
  const check = <T>(option: Option<T>, value: string, from: string): T | undefined => {
    const parsed = option.parse(value);
    if (parsed.ok) return parsed.value;
    problems.add(from, parsed.error);
    return undefined;
  };
  /** After a problem was added the value does not matter: nobody gets to see it. */
  const one = <T>(option: Option<T>): T => {
    const { values, from } = given(option.flag, false);
    const value = values.at(-1) ?? option.fallback;
    if (value === undefined) problems.add(from, 'must be given');
    return (value === undefined ? undefined : check(option, value, from)) as T;
  };
  const many = <T>(option: Option<T>): T[] => {
    const { values, from } = given(option.flag, true);
    return values.flatMap((value) => check(option, value, from) ?? []);
  };
  const settings: Settings = {
    folders: many(OPTIONS.folders),
    stateDir: one(OPTIONS.stateDir),
    xdsAddress: one(OPTIONS.xdsAddress),
    serverNames: many(OPTIONS.serverNames),
    plaintextAddress: one(OPTIONS.plaintextAddress),
    plaintextNamespace: one(OPTIONS.plaintextNamespace),
    handshakeTimeoutMs: one(OPTIONS.handshakeTimeoutMs),
    adminAddress: one(OPTIONS.adminAddress),
    trustDomain: one(OPTIONS.trustDomain),
    clusterDomain: one(OPTIONS.clusterDomain),
    defaultMtlsMode: one(OPTIONS.defaultMtlsMode),
    clusterIpRange: one(OPTIONS.clusterIpRange),
    leafTtlMs: one(OPTIONS.leafTtlMs),
    logLevel: one(OPTIONS.logLevel),
    logFormat: one(OPTIONS.logFormat),
  };
  if (settings.folders.length === 0) problems.add('--folder', 'must be given', 'name the folder of your manifests');
  return problems.isEmpty ? ok(settings) : err(problems);
}
