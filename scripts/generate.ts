/**
 * Turns `api/proto` into TypeScript in `api/generated` (not committed). Whatever needs it calls this first (package.json): after a pull
 * what was made before may be of other protos. Does nothing when it is of these. Knows buf and its one plugin, nothing of what the protos mean.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = join(root, 'node_modules', '.bin');
const api = join(root, 'api');
/** Says of which sources the folder was made; buf clears it away with the rest. */
const stamp = join(api, 'generated', '.made-of');

/** Of the protos, the settings, and the versions of the tools. */
function sources(): string {
  const hash = createHash('sha256');
  const protos = globSync('proto/**/*.proto', { cwd: api }).toSorted();
  for (const file of ['buf.gen.yaml', 'buf.yaml', ...protos])
    hash.update(`${file}\0`).update(readFileSync(join(api, file)));
  for (const tool of ['@bufbuild/buf', 'ts-proto']) {
    hash.update(readFileSync(join(root, 'node_modules', tool, 'package.json')));
  }
  return hash.digest('hex');
}

function generate(): number {
  const run = spawnSync(join(bin, 'buf'), ['generate', '--template', 'buf.gen.yaml'], {
    cwd: api,
    stdio: 'inherit',
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`, NODE_OPTIONS: '' },
  });
  if (run.error !== undefined) throw run.error;
  return run.status ?? 1;
}

const wanted = sources();
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  process.exitCode = generate();
  if (process.exitCode === 0) writeFileSync(stamp, wanted);
}
