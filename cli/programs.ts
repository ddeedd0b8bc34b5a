/**
 * How our own programs are started: as bundles when we are one, else from their sources.
 */
import { realpathSync } from 'node:fs';
import path from 'node:path';

export interface Program {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

export interface Programs {
  readonly sidecar: Program;
  readonly controlPlane: Program;
  /** Environment of our programs; nothing else of ours reaches them. */
  readonly env: Readonly<Record<string, string>>;
  /** Where the project stands: examples lie below it. */
  readonly root: string;
}

/**
 * Less memory of a sidecar at the same CPU for a request (docs/performance.md): a young generation of 2 MB a half in the place of 16, and one
 * thread for V8's compilers and collector in the place of four, each of which keeps memory of its own. `Dockerfile.proxy` says the same.
 */
export const SIDECAR_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=2', '--v8-pool-size=1'];

/**
 * Compilers of V8 take and give back pieces of 32 KB by the thousand, and glibc keeps the 16 MB that they once filled. From this size on pieces
 * come from the system and go back to it; nothing on the path of a request or of opaque bytes is so large and short-lived: under full load not one page is faulted in (docs/performance.md). `Dockerfile.proxy`
 * says the same.
 */
export const SIDECAR_ENV: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: '30000',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

/**
 * @param entry the script that Node was started with: `dist/tulle.cjs` or `cli/main.ts`.
 * @param variables PATH, and settings of the programs for which the runner gives no flag
 */
export function ownPrograms(entry: string, stateFolder: string, variables: Readonly<Record<string, string>>): Programs {
  const script = realpathSync(entry);
  const root = path.dirname(path.dirname(script));
  const bundled = script.endsWith('.cjs');
  const start = (bundle: string, source: string, flags: readonly string[] = []): Program => ({
    program: process.execPath,
    args: [...flags, path.join(root, bundled ? `dist/${bundle}.cjs` : source)],
    cwd: root,
  });
  return {
    sidecar: start('proxy', 'proxy/main.ts', SIDECAR_NODE_FLAGS),
    controlPlane: start('control-plane', 'control-plane/main.ts'),
    env: { ...variables, NODE_COMPILE_CACHE: path.join(stateFolder, 'compile-cache') },
    root,
  };
}
