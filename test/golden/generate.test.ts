/**
 * The meshes of `compile/` as resources for one client each, compared with files. `TULLE_GOLDEN=write` writes them anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { TYPE, type ResourceType } from '#api/names.ts';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import type { Client } from '../../control-plane/generate/client.ts';
import { generateResource, listNames } from '../../control-plane/generate/resources.ts';
import { worldOf } from '../support/manifests.ts';
import { readable } from '../support/resources.ts';

const HERE = import.meta.dirname;
const TRUST = '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n';

interface Case {
  readonly name: string;
  readonly world: string;
  readonly client: Client;
  /** Names asked for, by type; empty: everything by wildcard. */
  readonly ask: readonly (readonly [ResourceType, string])[];
}

function sidecar(namespace: string, workload: string | null = null): Client {
  return { namespace, workload, dialect: 'sidecar' };
}

function everything(name: string): readonly (readonly [ResourceType, string])[] {
  return [TYPE.listener, TYPE.route, TYPE.cluster, TYPE.endpoints].map((type) => [type, name] as const);
}

const V1 = 'reviews-v1.shop.svc.cluster.local:80';
const CASES: readonly Case[] = [
  {
    name: 'weighted-split',
    world: 'weighted-split',
    client: sidecar('shop'),
    ask: [[TYPE.listener, 'reviews:80'], [TYPE.route, 'reviews.shop.svc.cluster.local:80'], ...everything(V1)],
  },
  {
    name: 'inbound-permissive',
    world: 'weighted-split',
    client: sidecar('shop', 'shop/reviews-v1-a'),
    ask: [
      [TYPE.listener, 'inbound'],
      [TYPE.cluster, 'inbound|8080'],
      [TYPE.cluster, 'inbound|1'],
      [TYPE.cluster, 'passthrough'],
      [TYPE.secret, 'ROOTCA'],
    ],
  },
  {
    name: 'inbound-strict',
    world: 'endpoints',
    client: sidecar('shop', 'shop/web-1'),
    ask: [[TYPE.listener, 'inbound']],
  },
  {
    name: 'pod-address',
    world: 'endpoints',
    client: sidecar('web'),
    ask: everything('10.1.0.1:9090'),
  },
  {
    name: 'headless',
    world: 'endpoints',
    client: sidecar('shop'),
    ask: everything('headless.shop.svc.cluster.local:5432'),
  },
  {
    name: 'external-service',
    world: 'external-service',
    client: sidecar('shop'),
    ask: [
      [TYPE.listener, 'outbound'],
      ...everything('api.payments.example:80'),
      [TYPE.listener, '198.51.100.1:80'],
      [TYPE.cluster, 'a.b.payments.example:50051'],
      [TYPE.cluster, 'api.payments.example:8443'],
      ...everything('db.example:5432'),
      [TYPE.listener, '[2001:db8::7]:5432'],
      ...everything('192.0.2.2:9100'),
      [TYPE.cluster, 'payments.example:50051'],
    ],
  },
  {
    name: 'consumer-route',
    world: 'consumer-route',
    client: sidecar('web'),
    ask: [[TYPE.route, 'echo.shop.svc.cluster.local:80']],
  },
  {
    name: 'producer-route',
    world: 'consumer-route',
    client: sidecar('other'),
    ask: [[TYPE.route, 'echo.shop.svc.cluster.local:80']],
  },
  {
    name: 'precedence',
    world: 'precedence',
    client: sidecar('shop'),
    ask: [
      [TYPE.listener, 'api.shop.svc:80'],
      [TYPE.route, 'api.shop.svc.cluster.local:80'],
    ],
  },
  {
    name: 'retries-timeouts',
    world: 'retries-timeouts',
    client: sidecar('shop'),
    ask: ['full', 'off', 'some'].flatMap((name) => [
      [TYPE.route, `${name}.shop.svc.cluster.local:80`] as const,
      [TYPE.cluster, `${name}.shop.svc.cluster.local:80`] as const,
    ]),
  },
  {
    name: 'filters',
    world: 'filters',
    client: sidecar('shop'),
    ask: [80, 8080].map((port) => [TYPE.route, `web.shop.svc.cluster.local:${port}`] as const),
  },
  {
    name: 'grpc-route',
    world: 'grpc-route',
    client: sidecar('shop'),
    ask: [[TYPE.route, 'reviews.shop.svc.cluster.local:9000']],
  },
  {
    name: 'stream-routes',
    world: 'stream-routes',
    client: sidecar('shop'),
    ask: [443, 7000, 5000].map((port) => [TYPE.listener, `db.shop.svc.cluster.local:${port}`] as const),
  },
  {
    name: 'stream-routes-consumer',
    world: 'stream-routes',
    client: sidecar('web'),
    ask: [[TYPE.listener, 'db.shop.svc.cluster.local:443']],
  },
  { name: 'envoy', world: 'weighted-split', client: { namespace: 'shop', workload: null, dialect: 'envoy' }, ask: [] },
  {
    name: 'grpc',
    world: 'weighted-split',
    client: { namespace: 'web', workload: null, dialect: 'grpc' },
    ask: everything(V1),
  },
];

for (const { name, world, client, ask } of CASES) {
  t.test(`${client.dialect} in ${client.namespace} gets ${name}`, async (t) => {
    const yaml = readFileSync(join(HERE, 'compile', `${world}.in.yaml`), 'utf8');
    const { mesh } = compile(worldOf(yaml), DEFAULT_COMPILE_OPTIONS);
    const wildcard = [TYPE.cluster, TYPE.endpoints, TYPE.route, TYPE.listener].flatMap((type) =>
      listNames(mesh, client, type).map((resource) => [type, resource] as const),
    );
    const resources = (ask.length > 0 ? ask : wildcard).map(([type, resource]) => {
      const made = generateResource(mesh, client, type, resource, TRUST);
      const kind = type.slice(type.lastIndexOf('.') + 1);
      return [`${kind} ${resource}`, made === null ? null : readable(type, made.message)];
    });
    const text = `${JSON.stringify(Object.fromEntries(resources), null, 2)}\n`;
    const file = join(HERE, 'generate', `${name}.xds.json`);
    if (process.env['TULLE_GOLDEN'] === 'write') writeFileSync(file, text);
    t.same(JSON.parse(text), JSON.parse(readFileSync(file, 'utf8')));
  });
}
