/**
 * Turns `api/proto` into TypeScript in `api/generated` (not committed; made by `prepare`).
 * Knows buf and its one plugin, nothing of what the protos mean.
 */
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = join(root, 'node_modules', '.bin');
const run = spawnSync(join(bin, 'buf'), ['generate', '--template', 'buf.gen.yaml'], {
  cwd: join(root, 'api'),
  stdio: 'inherit',
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`, NODE_OPTIONS: '' },
});
if (run.error !== undefined) throw run.error;
process.exitCode = run.status ?? 1;
