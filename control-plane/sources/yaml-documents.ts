/**
 * The text of a manifest file as plain objects, each with its place: several documents, `List` kinds taken apart, JSON as the YAML that it is.
 * Knows no kind but lists. Everything that could grow is bounded; nothing throws.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, type Pair } from 'yaml';
import type { Place, Problems } from '#base/problems.ts';
import { isRecord } from '../kinds/structure.ts';
import { parseTree, type SyntaxTree, YamlPlaces } from './yaml-places.ts';

export const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_OBJECTS_IN_FILE = 10_000;
/** How often aliases may be followed in a document (`maxAliasCount` of the yaml package). */
const MAX_ALIASES = 100;
const MAX_DEPTH = 100;
/** Lists in lists. */
const MAX_LIST_DEPTH = 4;

/** One object as written, not looked into. */
export interface WrittenObject {
  readonly value: unknown;
  readonly place: Place;
  readonly placeOf: (path: string) => Place | null;
}

const TOO_DEEP = `is nested deeper than ${MAX_DEPTH} levels`;
export const TOO_LARGE = `is larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB`;
export const TOO_LARGE_ADVICE = 'split it into several files';

/** Null when the text as a whole cannot be trusted: then nothing in it counts, and at least one problem was added. */
export function readYaml(file: string, text: string, problems: Problems): readonly WrittenObject[] | null {
  const start: Place = { file, line: 1, column: 1 };
  if (text.length > MAX_FILE_BYTES) {
    problems.add('', TOO_LARGE, TOO_LARGE_ADVICE, start);
    return null;
  }
  const tree = treeOf(text);
  if (tree === null) {
    problems.add('', TOO_DEEP, '', start);
    return null;
  }
  const reader = new Reader(new YamlPlaces(file, text, tree), tree, problems);
  return reader.read();
}

function treeOf(text: string): SyntaxTree | null {
  try {
    return parseTree(text);
  } catch {
    // The end of the stack is the only way to fail.
    return null;
  }
}

/** Anchors of a document up to a node, and those that the node stands in. */
interface Anchors {
  readonly seen: Set<string>;
  readonly open: Set<string>;
}

class Reader {
  readonly #places: YamlPlaces;
  readonly #tree: SyntaxTree;
  readonly #problems: Problems;
  readonly #objects: WrittenObject[] = [];
  #failed = false;

  constructor(places: YamlPlaces, tree: SyntaxTree, problems: Problems) {
    this.#places = places;
    this.#tree = tree;
    this.#problems = problems;
  }

  read(): readonly WrittenObject[] | null {
    for (const [index, document] of this.#tree.documents.entries()) {
      const [error] = document.errors;
      if (error !== undefined) {
        // The first only: the others mostly follow from it. The parser, which recurses, reports the end of the stack as an error too.
        const tooDeep = error.message.includes('call stack');
        this.#fail(tooDeep ? TOO_DEEP : `is not YAML: ${lowerFirst(error.message)}`, tooDeep ? 0 : error.pos[0]);
        continue;
      }
      this.#checkNode(document.contents, { seen: new Set(), open: new Set() }, 0);
      if (this.#failed || document.contents === null) continue;
      const value = this.#valueOf(document);
      if (value !== null && value !== undefined) this.#add(value, index, '', 0);
    }
    return this.#failed ? null : this.#objects;
  }

  #fail(reason: string, offset: number, advice = ''): void {
    this.#failed = true;
    this.#problems.add('', reason, advice, this.#places.at(this.#tree, offset));
  }

  #valueOf(document: Document.Parsed): unknown {
    try {
      return document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const bomb = error instanceof ReferenceError;
      this.#fail(
        bomb ? `follows aliases more than ${MAX_ALIASES} times` : `is not YAML: ${lowerFirst(reason)}`,
        document.range[0],
        bomb ? 'write the values out' : '',
      );
      return null;
    }
  }

  /** What the parser lets pass: a key twice, a key that is no scalar, an alias to nothing or to what it stands in, endless depth. */
  #checkNode(node: unknown, anchors: Anchors, depth: number): void {
    if (isAlias(node)) {
      const { source } = node;
      if (anchors.open.has(source)) this.#fail(`alias *${source} stands inside its own anchor`, startOf(node.range));
      else if (!anchors.seen.has(source)) this.#fail(`alias *${source} has no anchor before it`, startOf(node.range));
      return;
    }
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) anchors.seen.add(anchor);
    if (!isMap(node) && !isSeq(node)) return;
    if (depth > MAX_DEPTH) {
      this.#fail(TOO_DEEP, startOf(node.range));
      return;
    }
    if (anchor !== undefined) anchors.open.add(anchor);
    if (isMap(node)) this.#checkPairs(node.items, anchors, depth);
    else for (const item of node.items) this.#checkNode(item, anchors, depth + 1);
    if (anchor !== undefined) anchors.open.delete(anchor);
  }

  #checkPairs(pairs: readonly Pair[], anchors: Anchors, depth: number): void {
    const seen = new Set<string>();
    for (const { key, value } of pairs) {
      if (isScalar(key)) {
        const name = String(key.value);
        // `<<` may stand several times: each merges one more map.
        if (seen.has(name) && name !== '<<')
          this.#fail(`key '${name}' stands twice`, startOf(key.range), 'remove one of them');
        seen.add(name);
      } else if (isMap(key) || isSeq(key) || isAlias(key)) this.#fail('a key must be plain text', startOf(key.range));
      this.#checkNode(value, anchors, depth + 1);
    }
  }

  #add(value: unknown, document: number, root: string, depth: number): void {
    const items = depth < MAX_LIST_DEPTH ? itemsOf(value) : null;
    if (items !== null) {
      const prefix = root === '' ? 'items' : `${root}.items`;
      for (const [i, item] of items.entries()) this.#add(item, document, `${prefix}[${i}]`, depth + 1);
      return;
    }
    if (this.#failed) return;
    const places = this.#places;
    const place = places.find(document, root, '') ?? { file: places.file, line: 1, column: 1 };
    if (this.#objects.length >= MAX_OBJECTS_IN_FILE) {
      this.#failed = true;
      this.#problems.add('', `has more than ${MAX_OBJECTS_IN_FILE} objects`, TOO_LARGE_ADVICE, place);
      return;
    }
    this.#objects.push({ value, place, placeOf: (path) => places.find(document, root, path) ?? place });
  }
}

/** The items of `kind: List` and of typed lists such as `ServiceList`. */
function itemsOf(value: unknown): readonly unknown[] | null {
  if (!isRecord(value) || typeof value['kind'] !== 'string' || !value['kind'].endsWith('List')) return null;
  return Array.isArray(value['items']) ? value['items'] : null;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

function startOf(range: readonly number[] | null | undefined): number {
  return range?.[0] ?? 0;
}
