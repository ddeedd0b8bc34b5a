/**
 * Manifests in, mesh and conditions out, compared with files. `TULLE_GOLDEN=write` writes them anew: then read the difference.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import { worldOf } from '../support/manifests.ts';

const FOLDER = join(import.meta.dirname, 'compile');

/** Maps as objects in order of their keys, so that a file says the same whatever was compiled first. */
function printable(_key: string, value: unknown): unknown {
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...(value as Map<string, unknown>)].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function golden(t: Test, file: string, value: unknown): void {
  const text = `${JSON.stringify(value, printable, 2)}\n`;
  const path = join(FOLDER, file);
  if (process.env['TULLE_GOLDEN'] === 'write') writeFileSync(path, text);
  t.same(JSON.parse(text), JSON.parse(readFileSync(path, 'utf8')), file);
}

for (const input of readdirSync(FOLDER).filter((name) => name.endsWith('.in.yaml'))) {
  t.test(`${input} compiles to the mesh and the conditions beside it`, async (t) => {
    const name = input.slice(0, -'.in.yaml'.length);
    const world = worldOf(readFileSync(join(FOLDER, input), 'utf8'), input);
    const { mesh, conditions } = compile(world, DEFAULT_COMPILE_OPTIONS);
    golden(t, `${name}.mesh.json`, mesh);
    golden(t, `${name}.conditions.json`, conditions);
  });
}
