/**
 * The CORS filter of HTTPRoute (GEP-1767) through a real control plane and a real sidecar: the table of the conformance suite, then what it leaves out.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseAllDocuments, stringify } from 'yaml';
import { routedApp, type Reply } from '../../support/routed-app.ts';

const CORPUS = join(import.meta.dirname, '../../corpora/gateway-api');

interface Case {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly statuses: readonly number[];
  /** Each header has one of the values. */
  readonly valid: Readonly<Record<string, readonly string[]>>;
  readonly absent: readonly string[];
}

const CASES = JSON.parse(readFileSync(join(CORPUS, 'cors-cases.json'), 'utf8')) as readonly Case[];

/** The rules of all routes of the suite's manifest, in JSON, with our Service behind them. */
function rulesOfSuite(): string {
  const routes = parseAllDocuments(readFileSync(join(CORPUS, 'httproute-cors.yaml'), 'utf8'));
  const rules = routes.flatMap(
    (document) => (document.toJS() as { spec: { rules: object[] } } | null)?.spec.rules ?? [],
  );
  const backendRefs = [{ name: 'app', port: 80 }];
  return JSON.stringify(rules.map((rule) => Object.assign(rule, { backendRefs })));
}

function faults({ headers, status }: Reply, { statuses, valid, absent }: Case): string[] {
  return [
    ...(statuses.includes(status) ? [] : [`status ${status}`]),
    ...Object.entries(valid).flatMap(([name, values]) => {
      const value = String(headers[name.toLowerCase()] ?? '');
      return values.includes(value) ? [] : [`${name}: ${value}`];
    }),
    ...absent.filter((name) => headers[name] !== undefined).map((name) => `${name} is there`),
  ];
}

t.setTimeout(30_000);

t.test('the table of the suite holds', async (t) => {
  const app = await routedApp(t, rulesOfSuite(), (_, res) => res.end('app'));
  for (const one of CASES) t.same(faults(await app.ask(one.method, one.path, one.headers), one), [], one.name);
  t.ok(CASES.length > 15);
});

const RULES = stringify([
  {
    matches: [{ path: { value: '/put' }, method: 'PUT', headers: [{ name: 'x-user', value: 'a' }] }],
    filters: [
      { type: 'CORS', cors: { allowOrigins: ['https://Shop.example:443', 'http://*:8080'], allowMethods: ['PUT'] } },
    ],
    backendRefs: [{ name: 'app', port: 80 }],
  },
  { matches: [{ path: { value: '/plain' } }], backendRefs: [{ name: 'app', port: 80 }] },
]);

t.test('preflights find the rule that they are for, and never the application', async (t) => {
  const seen: string[] = [];
  const app = await routedApp(t, `\n${RULES.replaceAll(/^/gm, '    ')}`, (req, res) => {
    seen.push(`${req.method} ${req.url}`);
    res.setHeader('vary', 'accept').end('app');
  });
  const preflight = (path: string, origin: string, method: string): Promise<Reply> =>
    app.ask('OPTIONS', path, { origin, 'access-control-request-method': method });
  t.match(await preflight('/put', 'https://shop.example', 'PUT'), {
    status: 200,
    headers: {
      'access-control-allow-origin': 'https://shop.example',
      'access-control-allow-methods': 'PUT',
      vary: 'origin',
    },
  });
  t.match(await preflight('/put', 'http://any.where:8080', 'PUT'), {
    headers: { 'access-control-allow-origin': 'http://any.where:8080', 'access-control-max-age': '5' },
  });
  const refused = await preflight('/put', 'http://any.where:8081', 'PUT');
  t.same([refused.status, refused.headers['access-control-allow-origin']], [200, undefined]);
  t.equal((await preflight('/put', 'https://shop.example', 'DELETE')).status, 404, 'no rule is for that method');
  t.same(seen, []);
  const actual = await app.ask('PUT', '/put', { origin: 'https://shop.example', 'x-user': 'a' });
  t.same(
    [actual.text, actual.headers['access-control-allow-origin'], actual.headers.vary],
    ['app', 'https://shop.example', 'accept, origin'],
  );
  t.equal(
    (await preflight('/plain', 'https://shop.example', 'PUT')).text,
    'app',
    'without the filter it is the application that answers',
  );
  t.same(seen, ['PUT /put', 'OPTIONS /plain']);
});
