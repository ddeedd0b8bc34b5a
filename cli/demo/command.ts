/**
 * `tulle demo [FOLDER]`: prepares the folder, the screen and the end of the demo.
 */
import { statSync } from 'node:fs';
import path from 'node:path';
import { ownPrograms } from '../programs.ts';
import { programVariables, runSettings, untilSignal, type RunOptions } from '../run/options.ts';
import { runDemo } from './demo.ts';
import { PRODUCT_PATHS, SCENE_PATHS, setScene } from './scene.ts';
import { openScreen } from './screen.ts';

export interface DemoCommandOptions extends RunOptions {
  readonly duration?: number;
  readonly rps: number;
  readonly front: string;
  readonly path?: readonly string[];
}

/** The exit code. */
export async function demoCommand(folder: string | undefined, options: DemoCommandOptions): Promise<number> {
  const stateFolder = path.resolve(options.stateDir);
  const programs = ownPrograms(process.argv[1] ?? '', stateFolder, programVariables());
  const durationMs = options.duration ?? null;
  const scene =
    folder === undefined ? setScene(path.join(programs.root, 'examples/shop'), stateFolder, durationMs) : null;
  const chosen = folder ?? scene?.folder ?? '';
  if (statSync(chosen, { throwIfNoEntry: false })?.isDirectory() !== true) {
    process.stderr.write(`${chosen} is no folder\n`);
    return 1;
  }
  const { stdout } = process;
  const screen = openScreen({
    write: (text) => void stdout.write(text),
    isTerminal: stdout.isTTY === true,
    get columns() {
      return stdout.columns ?? 120;
    },
  });
  return runDemo({
    settings: runSettings(chosen, options),
    programs,
    screen,
    durationMs,
    scene,
    rps: options.rps,
    front: options.front,
    paths: options.path ?? (scene === null ? PRODUCT_PATHS : SCENE_PATHS),
    stopped: untilSignal(),
  });
}
