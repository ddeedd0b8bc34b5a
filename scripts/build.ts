/**
 * `npm run build`: each program as one minified file in `dist`, with its source map beside it.
 * Knows entry points and esbuild. koffi stays outside: its native part cannot be bundled, and only captured traffic needs it.
 */
import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build, type OutputFile } from 'esbuild';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

const PROGRAMS = [
  { name: 'tulle', entry: 'cli/main.ts', what: 'command line' },
  { name: 'proxy', entry: 'proxy/main.ts', what: 'sidecar' },
  { name: 'control-plane', entry: 'control-plane/main.ts', what: 'control plane' },
] as const;

/** Whole files only: a program that starts meanwhile reads the old one or the new one. */
function replace(file: OutputFile, mode: number): void {
  const target = join(dist, basename(file.path));
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, file.contents);
  chmodSync(temporary, mode);
  renameSync(temporary, target);
}

/** False when it could not be built; esbuild has said why. */
async function bundle({ name, entry, what }: (typeof PROGRAMS)[number]): Promise<boolean> {
  if (!existsSync(join(root, entry))) {
    console.log(`${name}: ${entry} is not there`);
    return false;
  }
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: join(dist, `${name}.cjs`),
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    target: 'node26',
    minify: true,
    sourcemap: 'linked',
    legalComments: 'external',
    // grpc-js loads protos at run time only for channelz and ORCA, which nobody turns on here: 130 KiB that are never read.
    external: ['koffi', '@grpc/proto-loader'],
    // ES modules of a package are shaken, CommonJS is taken whole.
    mainFields: ['module', 'main'],
    // CommonJS has no `import.meta`; what the sources use of it has an older name there.
    define: {
      'import.meta.dirname': '__dirname',
      'import.meta.filename': '__filename',
      'import.meta.url': 'undefined',
    },
    logLevel: 'warning',
  }).catch(() => null);
  if (result === null) return false;
  const { outputFiles } = result;
  for (const file of outputFiles) replace(file, file.path.endsWith('.cjs') ? 0o755 : 0o644);
  const code = outputFiles.find((file) => file.path.endsWith('.cjs'));
  console.log(`${what.padEnd(14)} dist/${name}.cjs ${Math.round((code?.contents.length ?? 0) / 1024)} KiB`);
  return true;
}

mkdirSync(dist, { recursive: true });
const built = await Promise.all(PROGRAMS.map(bundle));
if (built.includes(false)) process.exitCode = 1;
