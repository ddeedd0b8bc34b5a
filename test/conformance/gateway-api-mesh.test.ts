/**
 * Mesh tables of the Gateway API conformance suite, from manifest to decision, and what the specification says besides in tables of its own.
 * What the suite expects of a backend's answer is asked of the route that was found.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';
import { worldOf } from '../support/manifests.ts';
import { decide, type Decision } from './decision.ts';
import { FEATURES, report } from './features.ts';
import { faults, nameOf, type Seen } from './seen.ts';
import { manifestsOf, TABLES } from './tables.ts';

/** As the tables see it; several clusters have no name in them. */
function seen({ clusters, ...decision }: Decision): Seen {
  return { ...decision, backend: clusters.map(({ cluster }) => cluster.split('.', 1)[0]).join() };
}

for (const table of TABLES) {
  t.test(`${table.name} holds`, async (t) => {
    const { mesh, conditions } = compile(worldOf(manifestsOf(table)), DEFAULT_COMPILE_OPTIONS);
    const refused = [...conditions.values()].flatMap(({ parents }) =>
      parents.flatMap(({ conditions: said }) => said.filter((c) => c.type === 'Accepted' && c.status === 'False')),
    );
    t.same(refused, [], 'its routes are accepted');
    for (const one of table.cases) {
      const decision = decide(mesh, one.request, one.from);
      t.same(faults(one, seen(decision)), [], nameOf(one));
      if (Object.keys(table.weights).length === 0) continue;
      const shares = decision.clusters
        .filter(({ weight }) => weight > 0)
        .map(({ cluster, weight }) => [cluster.split('.', 1)[0], weight / 100]);
      t.same(Object.fromEntries(shares), table.weights, 'the weights of the split');
    }
  });
}

function meshOf(rules: string, port = 80): Mesh {
  const yaml = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ name: http, port: ${port} }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: web, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: web }]
  rules: ${rules}
`;
  return compile(worldOf(yaml), DEFAULT_COMPILE_OPTIONS).mesh;
}

/** HTTPPathModifier.replacePrefixMatch: path asked for, prefix matched, replacement, path sent; then what the table leaves out. */
const PREFIXES: readonly (readonly [asked: string, prefix: string, replacement: string, sent: string])[] = [
  ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
  ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
  ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
  ['/foo/bar', '/foo/', '/xyz/', '/xyz/bar'],
  ['/foo', '/foo', '/xyz', '/xyz'],
  ['/foo/', '/foo', '/xyz', '/xyz/'],
  ['/foo/bar', '/foo', '', '/bar'],
  ['/foo/', '/foo', '', '/'],
  ['/foo', '/foo', '', '/'],
  ['/foo/', '/foo', '/', '/'],
  ['/foo', '/foo', '/', '/'],
  ['/foo//bar', '/foo', '/', '/bar'],
  ['/foo?a=/foo/', '/foo', '/', '/?a=/foo/'],
  ['/foo.d/foo.d/x', '/foo.d', '/', '/foo.d/x'],
  ['/bar', '/', '/xyz', '/xyz/bar'],
  ['/', '/', '/xyz', '/xyz/'],
  ['/bar?q', '/', '/', '/bar?q'],
  ['/foo/bar', '/foo', 'xyz', '/xyz/bar'],
];

function rule(filter: string, prefix: string): string {
  return `[{ matches: [{ path: { value: "${prefix}" } }], filters: [${filter}], backendRefs: [{ name: web, port: 80 }] }]`;
}

t.test('a prefix is replaced segment by segment, in a forward and in a redirect', async (t) => {
  const results = PREFIXES.map(([asked, prefix, replacement]) => {
    const path = `{ path: { type: ReplacePrefixMatch, replacePrefixMatch: "${replacement}" } }`;
    const request = { host: 'web', path: asked, headers: {} };
    const rewrite = meshOf(rule(`{ type: URLRewrite, urlRewrite: ${path} }`, prefix));
    const redirect = meshOf(
      rule(`{ type: RequestRedirect, requestRedirect: ${path} }`, prefix).replace(/, backendRefs.*]/, ' }]'),
    );
    const { sent } = decide(rewrite, request, 'shop');
    return [asked, prefix, replacement, sent.path, decide(redirect, request, 'shop').answered.get('location')];
  });
  t.same(
    results,
    PREFIXES.map((row) => (row as readonly unknown[]).concat(`http://web${row[3]}`)),
  );
});

/** HTTPRequestRedirectFilter.port: filter, port of the Service, host asked for, location. */
const REDIRECTS: readonly (readonly [filter: string, port: number, host: string, location: string])[] = [
  ['{}', 8080, 'web:8080', 'http://web:8080/a'],
  ['{}', 80, 'web', 'http://web/a'],
  ['{ hostname: other }', 8080, 'web:8080', 'http://other:8080/a'],
  ['{ scheme: https }', 8080, 'web:8080', 'https://web/a'],
  ['{ scheme: https }', 80, 'web:80', 'https://web/a'],
  ['{ scheme: http }', 8080, 'web:8080', 'http://web/a'],
  ['{ scheme: https, hostname: other }', 8080, 'web:8080', 'https://other/a'],
  ['{ scheme: https, port: 8443 }', 80, 'web', 'https://web:8443/a'],
  ['{ port: 443, scheme: https }', 80, 'web', 'https://web/a'],
  ['{ port: 443 }', 80, 'web', 'http://web:443/a'],
];

t.test('the port of a redirect follows its scheme, then the port that was asked', async (t) => {
  const results = REDIRECTS.map(([filter, port, host]) => {
    const mesh = meshOf(`[{ filters: [{ type: RequestRedirect, requestRedirect: ${filter} }] }]`, port);
    const { status, answered } = decide(mesh, { host, path: '/a', headers: {} }, 'shop');
    return [filter, port, host, answered.get('location'), status];
  });
  t.same(
    results,
    REDIRECTS.map((row) => (row as readonly unknown[]).concat(302)),
  );
});

const GRPC = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ name: grpc, port: 80 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: web, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: web }]
  rules: [{ backendRefs: [{ name: nobody, port: 80 }] }]
`;

t.test('a gRPC call that leads nowhere ends UNAVAILABLE', async (t) => {
  const { mesh } = compile(worldOf(GRPC), DEFAULT_COMPILE_OPTIONS);
  const asked = { host: 'web', path: '/a.B/C', headers: { 'content-type': 'application/grpc' } };
  const { status, answered } = decide(mesh, asked, 'shop');
  t.same([status, answered.get('grpc-status')], [200, '14']);
  t.equal(decide(mesh, { ...asked, headers: {} }, 'shop').status, 503);
});

t.test('the document says what the tables show', async (t) => {
  const shown = new Set(FEATURES.flatMap((feature) => feature.tables));
  t.same(
    TABLES.map(({ name }) => name).filter((name) => !shown.has(name)),
    [],
    'each table shows a feature',
  );
  t.same(
    [...shown].filter((name) => TABLES.every((table) => table.name !== name)),
    [],
    'each table named is there',
  );
  const named = FEATURES.flatMap(({ note }) => [...note.matchAll(/`(test\/[^`]+)`/g)].map(([, path = '']) => path));
  t.same(
    named.filter((path) => !existsSync(join(import.meta.dirname, '../..', path))),
    [],
    'each test named is there',
  );
  const document = readFileSync(join(import.meta.dirname, '../../docs/conformance.md'), 'utf8');
  t.ok(document.includes(report()), 'else put in what `node test/conformance/report.ts` prints');
});
