/**
 * A source file as the rules see it: imports, functions, and which globals of the runtime it touches.
 * Knows TypeScript only as far as Node strips it, and no rule.
 */
import { globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { posix } from 'node:path';
import { parse, type Comment, type Node } from 'acorn';

export interface Import {
  /** Path from the root of the repository, or the name of a package (`yaml`, `node:net`). */
  readonly target: string;
  readonly isLocal: boolean;
  readonly isTypeOnly: boolean;
  /** What is named in the braces. */
  readonly names: readonly string[];
  readonly isExport: boolean;
}

export interface FunctionLength {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

export interface Source {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
  /** The text without comments; lines stay where they are. */
  readonly code: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  readonly functions: readonly FunctionLength[];
  /** `Date.now`, `process.env`, `setTimeout` and so on, as used. */
  readonly globals: ReadonlySet<string>;
  /** True when there is nothing but imports and re-exports. */
  readonly isBarrel: boolean;
}

/** Without the warning that stripping is experimental: a run of tests has nothing to do about it. */
function strip(text: string): string {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    return stripTypeScriptTypes(text, { mode: 'strip' });
  } finally {
    process.emitWarning = emitWarning;
  }
}

export function readSources(root: string, patterns: readonly string[]): Source[] {
  return globSync([...patterns], { cwd: root, exclude: ['**/generated/**', '**/corpora/**'] })
    .map((path) => path.replaceAll('\\', '/'))
    .toSorted()
    .map((path) => toSource(path, readFileSync(posix.join(root, path), 'utf8')));
}

export function toSource(path: string, text: string): Source {
  const comments: Comment[] = [];
  const stripped = strip(text);
  const program = parse(stripped, {
    ecmaVersion: 'latest',
    sourceType: 'module',
    locations: true,
    allowHashBang: true,
    onComment: comments,
  });
  const code = blank(text, comments);
  const functions: FunctionLength[] = [];
  const globals = new Set<string>();
  walk(program, null, (node, parent) => {
    const length = functionLength(node, parent);
    if (length !== null) functions.push(length);
    const used = globalUsed(node, parent);
    if (used !== null) globals.add(used);
  });
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  const body = program.body;
  const reexports = body.filter((s) => s.type.startsWith('Export') && 'source' in s && s.source != null);
  const isBarrel =
    body.some((s) => s.type === 'ExportAllDeclaration') ||
    (reexports.length > 0 && body.every((s) => s.type === 'ImportDeclaration' || reexports.includes(s)));
  return { path, text, code, lines, imports: readImports(path, code), functions, globals, isBarrel };
}

/** Comments become spaces. Their ranges are those of the stripped text, which has the same length. */
function blank(text: string, comments: readonly Comment[]): string {
  let code = '';
  let end = 0;
  for (const comment of comments) {
    code += text.slice(end, comment.start) + text.slice(comment.start, comment.end).replaceAll(/[^\n]/g, ' ');
    end = comment.end;
  }
  return code + text.slice(end);
}

const IMPORT =
  /^[ \t]*(import|export)\b\s*(type\b(?!\s*from))?([^'";=(]*?)\bfrom\s*'([^']+)'|^[ \t]*import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm;

function readImports(path: string, code: string): Import[] {
  return [...code.matchAll(IMPORT)].map((match) => {
    const specifier = match[4] ?? match[5] ?? match[6] ?? '';
    const named = /\{([^}]*)\}/.exec(match[3] ?? '')?.[1];
    const names = (named ?? '').split(',').map((name) => name.trim());
    const isLocal = specifier.startsWith('.') || specifier.startsWith('#');
    return {
      target: isLocal ? resolveLocal(path, specifier) : packageName(specifier),
      isLocal,
      isTypeOnly:
        match[2] !== undefined ||
        (named !== undefined && names.every((name) => name === '' || name.startsWith('type '))),
      names: names.filter((name) => name !== '' && !name.startsWith('type ')),
      isExport: match[1] === 'export',
    };
  });
}

function resolveLocal(path: string, specifier: string): string {
  return specifier.startsWith('#') ? specifier.slice(1) : posix.join(posix.dirname(path), specifier);
}

function packageName(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

type AnyNode = Node & { readonly [key: string]: unknown };

function isNode(value: unknown): value is AnyNode {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

function walk(node: Node, parent: AnyNode | null, visit: (node: AnyNode, parent: AnyNode | null) => void): void {
  const here = node as AnyNode;
  visit(here, parent);
  for (const key in here) {
    const value = here[key];
    if (Array.isArray(value)) {
      for (const child of value) if (isNode(child)) walk(child, here, visit);
    } else if (isNode(value)) walk(value, here, visit);
  }
}

function functionLength(node: AnyNode, parent: AnyNode | null): FunctionLength | null {
  if (!/^(?:Function|ArrowFunction)/.test(node.type) || !node.loc) return null;
  const named = [node['id'], parent?.['key'], parent?.['id']].find((n) => isNode(n) && typeof n['name'] === 'string');
  const name = isNode(named) ? String(named['name']) : '(anonymous)';
  return { name, line: node.loc.start.line, lines: node.loc.end.line - node.loc.start.line + 1 };
}

/** Globals that have a home, alone or as `object.property`. */
const WATCHED = new Set([
  'Date.now',
  'Math.random',
  'performance.now',
  'process.env',
  'process.hrtime',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
  'setTimeout',
]);

function globalUsed(node: AnyNode, parent: AnyNode | null): string | null {
  if (node.type === 'NewExpression') {
    const { callee, arguments: given } = node;
    const isNow = isNode(callee) && callee['name'] === 'Date' && Array.isArray(given) && given.length === 0;
    return isNow ? 'Date.now' : null;
  }
  if (node.type === 'MemberExpression' && isNode(node['object']) && isNode(node['property'])) {
    const path = `${String(node['object']['name'])}.${String(node['property']['name'])}`;
    return WATCHED.has(path) ? path : null;
  }
  if (node.type !== 'Identifier' || !WATCHED.has(String(node['name']))) return null;
  // A property or a method of that name is somebody's own: `clock.setTimeout`.
  const isProperty = parent?.['computed'] !== true && (parent?.['property'] === node || parent?.['key'] === node);
  return isProperty ? null : String(node['name']);
}
