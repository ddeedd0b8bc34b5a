/**
 * Mesh cases of the Gateway API conformance suite, from manifest to routing decision: compiled, generated, decoded and matched as in a
 * sidecar, without a socket between. What the suite expects of a backend's answer is asked of the route that was found.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { TYPE } from '#api/names.ts';
import { formatProblems } from '#base/problems.ts';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import { fullName } from '../../control-plane/generate/plan.ts';
import { generateResource } from '../../control-plane/generate/resources.ts';
import { lookup } from '../../control-plane/model/lookups.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';
import { decodeRoute } from '../../proxy/config/decode/route.ts';
import type { HeaderEditsConfig, WeightedClusterConfig } from '../../proxy/config/snapshot.ts';
import { applyEdits } from '../../proxy/filters/headers.ts';
import { HeaderList } from '../../proxy/http/headers.ts';
import { findRoute, linkRouteTable } from '../../proxy/routing/table.ts';
import { worldOf } from '../support/manifests.ts';

const CORPUS = join(import.meta.dirname, '..', 'corpora', 'gateway-api');

interface Headers {
  readonly headers: Readonly<Record<string, string>>;
  readonly absent: readonly string[];
}

interface Case {
  readonly request: {
    readonly host: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
  };
  readonly from: string;
  readonly status: number;
  readonly backend?: string;
  readonly sent: Headers;
  readonly answered: Headers;
}

interface Suite {
  readonly name: string;
  readonly manifest: string;
  /** Share of each backend, by name. */
  readonly weights: Readonly<Record<string, number>>;
  readonly cases: readonly Case[];
}

function read(name: string): string {
  return readFileSync(join(CORPUS, name), 'utf8');
}

function listOf(headers: Readonly<Record<string, string>>): HeaderList {
  const list = new HeaderList();
  for (const [name, value] of Object.entries(headers)) list.add(name.toLowerCase(), value);
  return list;
}

function edited(headers: HeaderList, ...edits: readonly (HeaderEditsConfig | null | undefined)[]): HeaderList {
  for (const edit of edits) if (edit) applyEdits(headers, edit);
  return headers;
}

/** Those of the expected that are other than expected. */
function wrong(list: HeaderList, { headers, absent }: Headers): string[] {
  const value = (name: string): string => list.getAll(name.toLowerCase()).join(',');
  return [
    ...Object.entries(headers).filter(([name, expected]) => value(name) !== expected),
    ...absent.filter((name) => list.has(name.toLowerCase())).map((name) => [name, 'there']),
  ].map(([name, expected]) => `${name} must be ${expected}, is ${value(String(name))}`);
}

interface Decision {
  readonly clusters: readonly WeightedClusterConfig[];
  readonly sent: HeaderList;
  readonly answered: HeaderList;
}

/** Null: no route, 404. */
function decide(mesh: Mesh, { request, from }: Case): Decision | null {
  const { host, path } = request;
  const destination = lookup(mesh, host.includes(':') ? host : `${host}:80`, from);
  if (destination === null) throw new Error(`${host} is not known`);
  const client = { namespace: from, workload: null, dialect: 'sidecar' } as const;
  const made = generateResource(mesh, client, TYPE.route, fullName(destination), '');
  const table = made === null ? null : decodeRoute(made.message);
  if (!table?.ok) throw new Error(table === null ? 'no table' : formatProblems(table.error));
  const headers = listOf(request.headers);
  const found = findRoute(linkRouteTable(table.value), host, 'GET', path, headers);
  if (found === null) return null;
  const { action, requestHeaders, responseHeaders } = found.config;
  if (action.kind !== 'forward') throw new Error(`route ${found.config.name} does not forward`);
  const [cluster] = action.clusters;
  return {
    clusters: action.clusters,
    sent: edited(headers, requestHeaders, cluster?.requestHeaders),
    answered: edited(new HeaderList(), responseHeaders, cluster?.responseHeaders),
  };
}

const SUITES = JSON.parse(read('cases.json')) as readonly Suite[];

for (const { name, manifest, weights, cases } of SUITES) {
  t.test(`${name} holds`, async (t) => {
    const world = worldOf(`${read('mesh.yaml')}\n---\n${read(manifest)}`);
    const { mesh, conditions } = compile(world, DEFAULT_COMPILE_OPTIONS);
    const refused = [...conditions.values()].flatMap(({ parents }) =>
      parents.flatMap((parent) => parent.conditions.filter((condition) => condition.status === 'False')),
    );
    t.same(refused, [], 'its routes are accepted and lead somewhere');
    for (const one of cases) {
      const what = `${one.request.host}${one.request.path} ${JSON.stringify(one.request.headers)} from ${one.from}`;
      const decision = decide(mesh, one);
      t.equal(decision === null ? 404 : 200, one.status, what);
      if (decision === null) continue;
      const names = decision.clusters.map(({ cluster }) => cluster.split('.', 1)[0]);
      if (one.backend !== undefined) t.same(names, [one.backend], what);
      t.same([...wrong(decision.sent, one.sent), ...wrong(decision.answered, one.answered)], [], what);
      if (Object.keys(weights).length === 0) continue;
      const shares = decision.clusters.map(({ weight }, i) => [names[i], weight / 100]);
      t.same(Object.fromEntries(shares), weights, 'the weights of the split');
    }
  });
}
