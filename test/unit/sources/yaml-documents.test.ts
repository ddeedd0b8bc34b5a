/** Texts as objects with places, and the texts that are refused as a whole. */
import t from 'tap';
import { formatProblem, Problems } from '#base/problems.ts';
import { readYaml } from '../../../control-plane/sources/yaml-documents.ts';

function read(text: string): { readonly values: readonly unknown[] | null; readonly lines: readonly string[] } {
  const problems = new Problems();
  const objects = readYaml('f.yaml', text, problems);
  return { values: objects?.map(({ value }) => value) ?? null, lines: problems.list.map(formatProblem) };
}

function places(text: string, paths: readonly string[], index = 0): readonly string[] {
  const object = readYaml('f.yaml', text, new Problems())?.[index];
  return paths.map((path) => {
    const place = object?.placeOf(path);
    return `${path} ${place?.line ?? 0}:${place?.column ?? 0}`;
  });
}

t.test('documents, lists of any kind and JSON give their objects in order', async (t) => {
  t.same(read('a: 1\n---\n# nothing here\n---\nb: 2\n...\n'), { values: [{ a: 1 }, { b: 2 }], lines: [] });
  t.same(read(''), { values: [], lines: [] });
  t.same(read('\u{feff}{\n\t"a": [1, "x", true, null]\n}').values, [{ a: [1, 'x', true, null] }]);
  const list = 'kind: List\nitems:\n- {a: 1}\n- kind: ServiceList\n  items: [{b: 2}, {c: 3}]\n';
  t.same(read(list).values, [{ a: 1 }, { b: 2 }, { c: 3 }]);
});

t.test('anchors and merge keys work as in kubectl, words of YAML 1.1 stay words', async (t) => {
  const text = 'base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\nsame: *b\nretries: {on: [yes]}\n';
  t.same(read(text).values, [
    { base: { x: 1, y: 2 }, other: { x: 1, y: 3 }, same: { x: 1, y: 2 }, retries: { on: ['yes'] } },
  ]);
});

t.test('a path leads to the place of its key or item, or of what is written above it', async (t) => {
  const text = [
    '# a comment',
    'metadata:',
    '  labels: { app.kubernetes.io/name: x, "a b": y }',
    'spec: &s',
    '  retries:',
    '    on: [reset,',
    '      5xx]',
    'copy: *s',
    '---',
    'kind: List',
    'items:',
    '  - spec:',
    '      ports: [{ port: 0 }]',
  ].join('\n');
  t.same(
    places(text, [
      '',
      'metadata.labels[app.kubernetes.io/name]',
      'metadata.labels[a b]',
      'spec.retries.on[1]',
      'spec.retries.nothing.here',
      'copy.retries',
      'spec.retries.on[7]',
      'else',
    ]),
    [
      ' 2:1',
      'metadata.labels[app.kubernetes.io/name] 3:13',
      'metadata.labels[a b] 3:40',
      'spec.retries.on[1] 7:7',
      'spec.retries.nothing.here 5:3',
      'copy.retries 5:3',
      'spec.retries.on[7] 6:5',
      'else 2:1',
    ],
  );
  t.same(places(text, ['', 'spec.ports[0].port'], 1), [' 12:5', 'spec.ports[0].port 13:17']);
});

const deep = (depth: number): string => `a: ${'['.repeat(depth)}${']'.repeat(depth)}`;

t.test('a text that cannot be trusted gives nothing but the place of what is wrong', async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    [
      'a: 1\n---\nb: [\n',
      'f.yaml:4:1: is not YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['a:\n\t- b\n', 'f.yaml:2:1: is not YAML: tabs are not allowed as indentation'],
    ['a: 1\nb:\n  c: 1\n  c: 2\n', "f.yaml:4:3: key 'c' stands twice (remove one of them)"],
    ['"1": a\n1: b\n', "f.yaml:2:1: key '1' stands twice (remove one of them)"],
    ['? [x]\n: 1\n', 'f.yaml:1:3: a key must be plain text'],
    ['a: &x\n  b: [*x]\n', 'f.yaml:2:7: alias *x stands inside its own anchor'],
    ['a: *x\nb: &x 1\n', 'f.yaml:1:4: alias *x has no anchor before it'],
    ['a: 1\n<<: 3\n', 'f.yaml:1:1: is not YAML: merge sources must be maps or map aliases'],
    [deep(200), 'f.yaml:1:104: is nested deeper than 100 levels'],
    [deep(20_000), 'f.yaml:1:1: is nested deeper than 100 levels'],
    ['---\n{}\n'.repeat(10_001), 'f.yaml:20002:1: has more than 10000 objects (split it into several files)'],
    [`a: ${'x'.repeat(4 * 1024 * 1024)}`, 'f.yaml:1:1: is larger than 4 MiB (split it into several files)'],
  ];
  t.same(
    cases.map(([text]) => read(text)),
    cases.map(([, line]) => ({ values: null, lines: [line] })),
  );
});

t.test('what would take endless time or memory is refused in little time', async (t) => {
  const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 12; i++) bomb.push(`a${i}: &a${i} [${`*a${i - 1}, `.repeat(9)}*a${i - 1}]`);
  const keys = Array.from({ length: 40_000 }, (_, i) => `k${i}: 1`).join('\n');
  const begun = process.cpuUsage();
  t.same(read(bomb.join('\n')).lines, ['f.yaml:1:1: follows aliases more than 100 times (write the values out)']);
  t.same(read(keys).lines, []);
  const { user } = process.cpuUsage(begun);
  t.ok(user < 3_000_000, `${user} µs`);
});
