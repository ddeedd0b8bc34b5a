/**
 * Writes `crds/` from the fields that the parsers read with: run it after a field of ours has changed.
 * Knows nothing of what the fields mean.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { DEFINITIONS } from '../control-plane/kinds/custom-resource.ts';

const HEAD = `# Made by scripts/crds.ts from the fields in control-plane/kinds: change them there.\n`;
// Written for YAML 1.1, which kubectl reads: there a key such as `on` needs quotes.
for (const [file, definition] of Object.entries(DEFINITIONS)) {
  const text = stringify(definition, { version: '1.1', lineWidth: 0, singleQuote: true, aliasDuplicateObjects: false });
  writeFileSync(join(import.meta.dirname, '..', 'crds', file), HEAD + text);
}
