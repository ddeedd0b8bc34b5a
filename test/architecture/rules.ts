/**
 * The rules of the house as data, and the sentence that each failure says. `ARCHITECTURE.md` gives the reasons.
 * Knows paths and imports only; nothing of what the code does.
 */
import { posix } from 'node:path';
import type { Source } from './source.ts';

/** Imports go down these ranks only; equal ranks never see each other. The longest prefix counts. */
const RANKS: Readonly<Record<string, number>> = {
  'base/': 0,
  'api/': 1,
  'proxy/http/': 11,
  'proxy/telemetry/': 11,
  'proxy/config/': 12,
  'proxy/net/': 13,
  'proxy/resolve/': 13,
  'proxy/capture/': 13,
  'proxy/exchange/': 13,
  'proxy/routing/': 14,
  'proxy/balancing/': 14,
  'proxy/filters/': 14,
  'proxy/downstream/': 14,
  'proxy/upstream/': 14,
  'proxy/forwarding/': 15,
  'proxy/worker/': 16,
  'proxy/supervisor/': 17,
  'proxy/': 18,
  'control-plane/model/': 20,
  'control-plane/kinds/': 21,
  'control-plane/sources/': 22,
  'control-plane/identity/': 22,
  'control-plane/inject/': 22,
  'control-plane/compile/': 23,
  'control-plane/generate/': 23,
  'control-plane/serve/': 24,
  'control-plane/status/': 24,
  'control-plane/admin/': 25,
  'control-plane/': 26,
  'cli/': 30,
  'examples/': 40,
  'bench/': 40,
  'scripts/': 40,
  'test/': 50,
};

/** Sides that know each other only through `api/`. */
const STRANGERS: readonly (readonly [from: string, to: string])[] = [
  ['control-plane/', 'proxy/'],
  ['proxy/', 'control-plane/'],
  ['examples/', 'proxy/'],
  ['examples/', 'control-plane/'],
];

/** Upward all the same: plain data that both threads of a sidecar speak. */
const DOORS: readonly (readonly [from: string, to: string])[] = [['proxy/', 'proxy/worker/messages.ts']];

/** Where tools and tests live: they may use any package and any global. */
const WORKSHOP = ['test/', 'bench/', 'scripts/', 'examples/'];

/** Each npm package, and each builtin that opens the outside world, has one or two homes. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  '@grpc/grpc-js': ['control-plane/serve/'],
  'node-forge': ['proxy/supervisor/identity/', 'control-plane/identity/'],
  'prom-client': ['proxy/supervisor/admin/', 'control-plane/admin/'],
  yaml: ['control-plane/sources/', 'proxy/settings.ts', 'control-plane/settings.ts', 'cli/'],
  commander: ['proxy/main.ts', 'control-plane/main.ts', 'cli/'],
  undici: ['proxy/supervisor/', 'cli/'],
  koffi: ['proxy/net/original-dst.ts'],
  'node:dns/promises': ['proxy/resolve/'],
  'node:dns': [],
  'node:net': ['proxy/net/', 'control-plane/serve/', 'control-plane/admin/', 'cli/'],
  'node:tls': ['proxy/net/', 'control-plane/serve/', 'control-plane/admin/', 'cli/'],
  'node:http': ['proxy/supervisor/admin/', 'control-plane/admin/', 'control-plane/inject/', 'cli/'],
  'node:https': ['cli/'],
  'node:child_process': ['cli/', 'proxy/capture/'],
  'node:timers': ['base/clock.ts'],
  'node:timers/promises': ['base/clock.ts'],
};

/** Of `node:net`, what is arithmetic on addresses and opens nothing. */
const PURE = new Set(['isIP', 'isIPv4', 'isIPv6', 'BlockList']);

/** Builtins without a home of their own. */
const OPEN_BUILTINS = /^node:(?!net$|tls$|http$|http2$|https$|dns$|dns\/promises$|child_process$|timers)/;

const GLOBAL_HOMES: Readonly<Record<string, readonly string[]>> = {
  'process.env': ['proxy/settings.ts', 'proxy/main.ts', 'control-plane/settings.ts', 'control-plane/main.ts', 'cli/'],
  'Date.now': ['base/clock.ts'],
  'performance.now': ['base/clock.ts'],
  'process.hrtime': ['base/clock.ts'],
  setTimeout: ['base/clock.ts'],
  setInterval: ['base/clock.ts'],
  setImmediate: ['base/clock.ts', 'proxy/net/', 'proxy/upstream/', 'proxy/downstream/'],
  'Math.random': ['base/random.ts'],
};

export const MAX_FILE_LINES = 400;
export const MAX_FUNCTION_LINES = 60;

const FILE_NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.d)?\.ts$/;
const EMPTY_WORDS = new Set(['utils', 'util', 'helpers', 'helper', 'common', 'manager', 'data', 'info', 'misc']);

export interface Breach {
  readonly rule: string;
  readonly path: string;
  readonly sentence: string;
}

type Rule = (source: Source) => readonly string[];

const within = (path: string, homes: readonly string[]): boolean => homes.some((home) => path.startsWith(home));

function rankOf(path: string): { folder: string; rank: number } {
  const folder = Object.keys(RANKS)
    .filter((prefix) => path.startsWith(prefix))
    .reduce((longest, prefix) => (prefix.length > longest.length ? prefix : longest), '');
  return { folder, rank: RANKS[folder] ?? Number.NaN };
}

const importsGoDown: Rule = (source) => {
  const from = rankOf(source.path);
  return source.imports
    .filter((i) => i.isLocal)
    .flatMap(({ target }) => {
      const to = rankOf(target);
      if (DOORS.some(([side, door]) => source.path.startsWith(side) && target === door)) return [];
      if (STRANGERS.some(([a, b]) => source.path.startsWith(a) && target.startsWith(b))) {
        return [`imports ${target}: ${from.folder} and ${to.folder} know each other only through api/`];
      }
      if (to.folder === from.folder || to.rank < from.rank) return [];
      return [
        `imports ${target}: imports go down only, and ${to.folder} (rank ${to.rank}) does not lie below ${from.folder} (rank ${from.rank})`,
      ];
    });
};

const knownFolder: Rule = ({ path }) =>
  Number.isNaN(rankOf(path).rank) ? ['lies in a folder without a rank: give it one in test/architecture/rules.ts'] : [];

const noBarrel: Rule = ({ path, isBarrel }) =>
  isBarrel || posix.basename(path) === 'index.ts'
    ? ['only passes on what others export: one symbol has one home, import it from there']
    : [];

const packagesAtHome: Rule = ({ path, imports }) => {
  if (within(path, WORKSHOP)) return [];
  return imports
    .filter((i) => !i.isLocal && !OPEN_BUILTINS.test(i.target))
    .filter(({ target, isTypeOnly, names }) => {
      if (within(path, HOMES[target] ?? [])) return false;
      // A type opens no socket, and neither does arithmetic on addresses.
      const isBuiltin = target.startsWith('node:');
      return !(
        isBuiltin &&
        (isTypeOnly || (target === 'node:net' && names.length > 0 && names.every((n) => PURE.has(n))))
      );
    })
    .map(({ target }) => `imports ${target}, whose home is ${(HOMES[target] ?? ['nowhere yet']).join(' or ')}`);
};

const globalsAtHome: Rule = ({ path, globals }) => {
  if (within(path, WORKSHOP)) return [];
  return [...globals]
    .filter((name) => GLOBAL_HOMES[name] !== undefined && !within(path, GLOBAL_HOMES[name]))
    .map((name) => `uses ${name}, whose home is ${GLOBAL_HOMES[name]?.join(' or ')}: take it as an argument instead`);
};

const fileLength: Rule = ({ lines }) =>
  lines > MAX_FILE_LINES ? [`has ${lines} lines, more than ${MAX_FILE_LINES}: cut it where two subjects meet`] : [];

const functionLength: Rule = ({ path, functions }) =>
  // A test's body is a list of facts, and may be as long as it has facts.
  path.startsWith('test/')
    ? []
    : functions
        .filter(({ lines }) => lines > MAX_FUNCTION_LINES)
        .map(
          ({ name, line, lines }) =>
            `line ${line}: function ${name} has ${lines} lines, more than ${MAX_FUNCTION_LINES}: give its steps names`,
        );

const fileNames: Rule = ({ path }) => {
  const name = posix.basename(path);
  // The last word is the noun: `data-plane` is a plane, `plane-data` says nothing.
  const nouns = path
    .replace(/\..*$/, '')
    .split('/')
    .map((part) => part.slice(part.lastIndexOf('-') + 1));
  const empty = nouns.filter((noun) => EMPTY_WORDS.has(noun));
  return [
    ...(FILE_NAME.test(name) ? [] : ['is not named in kebab-case']),
    ...empty.map((word) => `has '${word}' in its path, which says nothing: name the subject`),
  ];
};

const header: Rule = ({ text }) =>
  /^(?:#!.*\n)?\/\*\*/.test(text)
    ? []
    : ['does not open with a comment that says what it is for and what it does not know'];

const erasable: Rule = ({ code }) =>
  /^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s/m.test(code)
    ? ['has an enum, which Node cannot strip: use a union of literals or a const object']
    : [];

const noPromises: Rule = ({ text }) =>
  /\b(?:TODO|FIXME|XXX)\b/.test(text.replaceAll(/'[^'\n]*'|\/[^/\n]*\//g, ''))
    ? ['promises work for later in a comment: do it, or write an issue']
    : [];

const RULES: Readonly<Record<string, Rule>> = {
  'known folder': knownFolder,
  'imports go down': importsGoDown,
  'no barrel': noBarrel,
  'packages at home': packagesAtHome,
  'globals at home': globalsAtHome,
  'file length': fileLength,
  'function length': functionLength,
  'file names': fileNames,
  header,
  erasable,
  'no promises': noPromises,
};

/** What stands above a rule, each with its reason. A reason that is no longer needed is a breach too. */
export type Exceptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

export function breaches(sources: readonly Source[], exceptions: Exceptions): Breach[] {
  const unused = new Set(
    Object.entries(exceptions).flatMap(([rule, files]) => Object.keys(files).map((f) => `${rule}|${f}`)),
  );
  const found: Breach[] = [];
  for (const [rule, check] of Object.entries(RULES)) {
    for (const source of sources) {
      const sentences = check(source);
      if (sentences.length > 0 && exceptions[rule]?.[source.path] !== undefined)
        unused.delete(`${rule}|${source.path}`);
      else found.push(...sentences.map((sentence) => ({ rule, path: source.path, sentence })));
    }
  }
  for (const key of unused) {
    const [rule = '', path = ''] = key.split('|');
    found.push({ rule, path, sentence: 'is named as an exception, and keeps the rule: remove the exception' });
  }
  return [...found, ...cycles(sources)];
}

/** Import cycles, types included: strongly connected files (Tarjan 1972). */
function cycles(sources: readonly Source[]): Breach[] {
  const edges = new Map(sources.map((s) => [s.path, s.imports.filter((i) => i.isLocal).map((i) => i.target)]));
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: Breach[] = [];
  const visit = (path: string): number => {
    const index = order.size;
    order.set(path, index);
    let lowest = index;
    stack.push(path);
    for (const next of edges.get(path) ?? []) {
      if (!order.has(next)) lowest = Math.min(lowest, visit(next));
      else if (stack.includes(next)) lowest = Math.min(lowest, order.get(next) ?? index);
      if (next === path) found.push({ rule: 'no cycle', path, sentence: 'imports itself' });
    }
    low.set(path, lowest);
    if (lowest !== index) return lowest;
    const group = stack.splice(stack.indexOf(path));
    if (group.length > 1) {
      const sentence = `is in an import cycle with ${group.slice(1).join(', ')}: move what both need below both`;
      found.push({ rule: 'no cycle', path, sentence });
    }
    return lowest;
  };
  for (const { path } of sources) if (!order.has(path)) visit(path);
  return found;
}
