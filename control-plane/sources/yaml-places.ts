/**
 * Places in a YAML text by path, found when somebody asks: the syntax tree is kept only as long as memory is not needed otherwise.
 * Knows no kind.
 */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
} from 'yaml';
import type { Place } from '#base/problems.ts';

export interface SyntaxTree {
  readonly documents: readonly Document.Parsed[];
  readonly lines: LineCounter;
}

/** A step of a path: a name, or an index of a list. */
type Step = string;

/** Parses without judging: errors stand in the documents. Throws where the parser gives up (nesting of thousands of levels). */
export function parseTree(text: string): SyntaxTree {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    // Kubernetes' own YAML reader takes merge keys.
    merge: true,
    prettyErrors: false,
    logLevel: 'silent',
    // Compares every key with every other; `yaml-documents.ts` looks for duplicates in linear time.
    uniqueKeys: false,
  });
  return { documents: Array.isArray(documents) ? documents : [], lines };
}

export class YamlPlaces {
  readonly file: string;
  readonly #text: string;
  #tree: WeakRef<SyntaxTree>;

  constructor(file: string, text: string, tree: SyntaxTree) {
    this.file = file;
    this.#text = text;
    this.#tree = new WeakRef(tree);
  }

  /** The place of a path below `root` (as in `items[2]`; empty: the document), or of the nearest thing above it that is written. */
  find(document: number, root: string, path: string): Place | null {
    let tree = this.#tree.deref();
    if (tree === undefined) {
      tree = parseTree(this.#text);
      this.#tree = new WeakRef(tree);
    }
    const doc = tree.documents[document];
    if (doc === undefined) return null;
    const offset = offsetOf(doc, [...stepsOf(root), ...stepsOf(path)]);
    return offset === null ? null : this.at(tree, offset);
  }

  at(tree: SyntaxTree, offset: number): Place {
    const { line, col } = tree.lines.linePos(offset);
    return { file: this.file, line, column: col };
  }
}

/** `spec.retries.on[2]`, `metadata.labels[app.kubernetes.io/name].x`. */
function stepsOf(path: string): Step[] {
  return Array.from(path.matchAll(/\[([^\]]*)\]|[^.[\]]+/g), ([whole, bracketed]) => bracketed ?? whole);
}

function offsetOf(doc: Document.Parsed, steps: readonly Step[]): number | null {
  let node: unknown = doc.contents;
  let offset = startOf(node);
  for (const step of steps) {
    if (isAlias(node)) node = node.resolve(doc);
    if (!isCollection(node)) break;
    const next = isMap(node) ? memberOf(node.items, step) : isSeq(node) ? itemOf(node.items, step) : null;
    if (next === null) break;
    offset = next.offset ?? offset;
    node = next.node;
  }
  return offset;
}

interface Found {
  readonly offset: number | null;
  readonly node: unknown;
}

/** A member's place is that of its key. */
function memberOf(pairs: readonly Pair[], step: Step): Found | null {
  const pair = pairs.find(({ key }) => isScalar(key) && String(key.value) === step);
  return pair === undefined ? null : { offset: startOf(pair.key), node: pair.value };
}

function itemOf(items: readonly unknown[], step: Step): Found | null {
  const item = /^\d+$/.test(step) ? items[Number(step)] : undefined;
  return item === undefined ? null : { offset: startOf(item), node: item };
}

function startOf(node: unknown): number | null {
  return isNode(node) ? ((node as Node).range?.[0] ?? null) : null;
}
