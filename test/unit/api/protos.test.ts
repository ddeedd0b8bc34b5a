/**
 * Our protos against the full ones that `@grpc/grpc-js-xds` carries, and the generated code against protobufjs, an implementation of its own.
 * Says nothing of which fields are used, only that those we have are the world's.
 */
import { existsSync, globSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import t from 'tap';
import { EXTENSION, TYPE } from '#api/names.ts';
import { Cluster } from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '#api/generated/envoy/config/endpoint/v3/endpoint.ts';
import { RouteConfiguration } from '#api/generated/envoy/config/route/v3/route.ts';
import { DeltaDiscoveryRequest } from '#api/generated/envoy/service/discovery/v3/discovery.ts';

const PROTO = join(import.meta.dirname, '../../../api/proto');
const DEPS = join(dirname(fileURLToPath(import.meta.resolve('@grpc/grpc-js-xds'))), '../../deps');
/** The last one has what protobuf itself defines, `google/protobuf/descriptor.proto` and the like. */
const UPSTREAM = [
  ...['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => join(DEPS, name)),
  dirname(fileURLToPath(import.meta.resolve('protobufjs'))),
];
/** Packages of our own, of Istio and of gRPC, which have no upstream file to compare with. */
const NOT_UPSTREAM = ['tulle.', 'istio.', 'grpc.'];

/** Loads files with their imports; imports are looked up in `roots`, well-known types in protobufjs itself. */
function load(roots: readonly string[], files: readonly string[]): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) =>
    target in protobuf.common
      ? target
      : (roots.map((dir) => join(dir, target)).find((path) => existsSync(path)) ?? target);
  return root.loadSync([...files], { keepCase: true });
}

function* reflect(at: protobuf.NamespaceBase): Generator<protobuf.Type | protobuf.Enum> {
  for (const child of at.nestedArray) {
    if (child instanceof protobuf.Type || child instanceof protobuf.Enum) yield child;
    if (child instanceof protobuf.Namespace) yield* reflect(child);
  }
}

/** Everything about a field that the bytes depend on. */
function fieldShape(field: protobuf.Field): object {
  field.resolve();
  const type = field.resolvedType?.fullName ?? field.type;
  return {
    number: field.id,
    type: field instanceof protobuf.MapField ? `map<${field.keyType}, ${type}>` : type,
    repeated: field.repeated,
    packed: field.repeated && field.packed,
    oneof: field.partOf?.name ?? null,
  };
}

const names = (object: protobuf.ReflectionObject): string => object.fullName.slice(1);

t.test('each message, field and enum value is what it is upstream', async (t) => {
  const ours = load([PROTO], globSync('**/*.proto', { cwd: PROTO }));
  const mine = [...reflect(ours)].filter(
    (r) => ![...NOT_UPSTREAM, 'google.protobuf.'].some((p) => names(r).startsWith(p)),
  );
  const packages = new Set(globSync('{envoy,google}/**/*.proto', { cwd: PROTO }).map((file) => dirname(file)));
  const theirs = load(
    UPSTREAM,
    [...packages].flatMap((dir) => {
      const home = UPSTREAM.find((root) => existsSync(join(root, dir))) ?? '';
      return readdirSync(join(home, dir))
        .filter((f) => f.endsWith('.proto'))
        .map((f) => `${dir}/${f}`);
    }),
  );
  const differences: string[] = [];
  const compare = (what: string, found: unknown, wanted: unknown) => {
    if (JSON.stringify(found) !== JSON.stringify(wanted)) {
      differences.push(`${what}: ours ${JSON.stringify(found)}, upstream ${JSON.stringify(wanted)}`);
    }
  };
  let fields = 0;
  for (const our of mine) {
    const their = theirs.lookup(our.fullName);
    if (our instanceof protobuf.Enum) {
      const values = their instanceof protobuf.Enum ? their.values : {};
      for (const [name, number] of Object.entries(our.values)) compare(`${names(our)}.${name}`, number, values[name]);
      continue;
    }
    if (!(their instanceof protobuf.Type)) {
      differences.push(`${names(our)}: no such message upstream`);
      continue;
    }
    for (const field of our.fieldsArray) {
      fields++;
      const other = their.fields[field.name];
      compare(`${names(our)}.${field.name}`, fieldShape(field), other === undefined ? null : fieldShape(other));
    }
  }
  t.same(differences, []);
  t.ok(mine.length > 60 && fields > 200, `compared ${mine.length} types and ${fields} fields`);
});

t.test('the certificate contract is the one that istio-csr speaks', async (t) => {
  const root = load([PROTO], ['istio/v1/auth/ca.proto']);
  const shape = (name: string) =>
    root.lookupType(name).fieldsArray.map((f) => [f.name, f.id, f.type, f.repeated] as const);
  t.same(
    {
      request: shape('istio.v1.auth.IstioCertificateRequest'),
      response: shape('istio.v1.auth.IstioCertificateResponse'),
      methods: Object.keys(root.lookupService('istio.v1.auth.IstioCertificateService').methods),
    },
    {
      request: [
        ['csr', 1, 'string', false],
        ['validity_duration', 3, 'int64', false],
        ['metadata', 4, 'google.protobuf.Struct', false],
      ],
      response: [['cert_chain', 1, 'string', true]],
      methods: ['CreateCertificate'],
    },
  );
});

t.test('each type URL in api/names.ts is a message that we have', async (t) => {
  const root = load([PROTO], globSync('**/*.proto', { cwd: PROTO }));
  const urls: string[] = [...Object.values(TYPE), ...Object.values(EXTENSION)];
  t.same(
    urls.filter((url) => !(root.lookup(url.slice(url.indexOf('/') + 1)) instanceof protobuf.Type)),
    [],
  );
});

/** Messages with what is easily got wrong: enums, wrappers, maps, negative numbers, text beyond ASCII. */
const SAMPLES = [
  {
    type: 'envoy.config.cluster.v3.Cluster',
    codec: Cluster,
    json: {
      name: 'reviews.shop.svc.cluster.local:8080',
      type: 'EDS',
      eds_cluster_config: { eds_config: { ads: {} }, service_name: 'reviews' },
      connect_timeout: { seconds: 1, nanos: 500_000_000 },
      circuit_breakers: { thresholds: [{ max_connections: { value: 1024 }, max_requests: { value: 7 } }] },
    },
  },
  {
    type: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
    codec: ClusterLoadAssignment,
    json: {
      cluster_name: 'reviews',
      endpoints: [
        {
          locality: { zone: 'a' },
          lb_endpoints: [
            {
              endpoint: { address: { socket_address: { address: '10.0.0.1', port_value: 8080 } } },
              health_status: 'HEALTHY',
              load_balancing_weight: { value: 3 },
            },
          ],
        },
      ],
    },
  },
  {
    type: 'envoy.config.route.v3.RouteConfiguration',
    codec: RouteConfiguration,
    json: {
      name: 'reviews',
      virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] }],
    },
  },
  {
    type: 'envoy.service.discovery.v3.DeltaDiscoveryRequest',
    codec: DeltaDiscoveryRequest,
    json: {
      node: { id: 'sidecar~reviews-1~shop', client_features: ['x'] },
      type_url: TYPE.listener,
      resource_names_subscribe: ['inbound'],
      initial_resource_versions: { a: '1', b: '' },
      error_detail: { code: -3, message: 'ü' },
    },
  },
];

t.test('generated code writes what another implementation reads, and reads what it writes', async (t) => {
  const root = load([PROTO], globSync('**/*.proto', { cwd: PROTO }));
  for (const { type, codec, json } of SAMPLES) {
    const reflection = root.lookupType(type);
    const bytes = reflection.encode(reflection.fromObject(json)).finish();
    const decoded = codec.decode(bytes);
    const again = codec.encode(decoded as never).finish();
    t.same(
      reflection.toObject(reflection.decode(again), { enums: String, longs: Number }),
      json,
      `${type} comes back whole`,
    );
  }
});

t.test('fields that we do not know are kept, and written again', async (t) => {
  const known = DeltaDiscoveryRequest.encode(DeltaDiscoveryRequest.fromPartial({ typeUrl: 'x' })).finish();
  const unknown = protobuf.Writer.create()
    .uint32((1999 << 3) | 2)
    .string('later')
    .finish();
  const decoded = DeltaDiscoveryRequest.decode(Buffer.concat([known, unknown]));
  t.equal(decoded.typeUrl, 'x');
  t.same(Object.keys(decoded._unknownFields ?? {}), [String((1999 << 3) | 2)], 'keyed by tag: number and wire type');
  t.same(DeltaDiscoveryRequest.encode(decoded).finish(), Buffer.concat([known, unknown]));
});

t.test('broken bytes are refused with an exception, never accepted or looped over', async (t) => {
  const good = Cluster.encode(Cluster.fromPartial({ name: 'reviews', connectTimeout: { seconds: 1n } })).finish();
  const outcomes = new Set<string>();
  for (let length = 1; length < good.length; length++) {
    try {
      Cluster.decode(good.subarray(0, length));
      outcomes.add('field boundary');
    } catch {
      outcomes.add('refused');
    }
  }
  t.same([...outcomes].toSorted(), ['field boundary', 'refused']);
  t.throws(() => Cluster.decode(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f])), 'a length beyond the end');
});
