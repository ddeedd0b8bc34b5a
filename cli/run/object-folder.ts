/**
 * The folder of objects that the control plane watches beside the manifests: one JSON file each, always whole.
 * A file is written under another name first and then renamed, so that no reader ever sees half of it.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export class ObjectFolder {
  readonly #folder: string;
  readonly #written = new Map<string, string>();

  /** What a former run left in the folder is removed. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { recursive: true });
  }

  /** Writes the object unless the file holds the same already. */
  write(name: string, object: object): void {
    const text = JSON.stringify(object, null, 1);
    if (this.#written.get(name) === text) return;
    this.#written.set(name, text);
    writeWhole(this.#path(name), text);
  }

  remove(name: string): void {
    this.#written.delete(name);
    rmSync(this.#path(name), { force: true });
  }

  #path(name: string): string {
    return path.join(this.#folder, `${name}.json`);
  }
}

/** Replaces the file at `target` in one step. Readable by its owner only. */
export function writeWhole(target: string, text: string): void {
  const temporary = `${target}.tmp`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, target);
}
