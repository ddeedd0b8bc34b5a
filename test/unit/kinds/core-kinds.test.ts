/** Kubernetes' own kinds: what is read, which defaults fill in, and what is refused in which words. */
import t from 'tap';
import { parseDeployment } from '../../../control-plane/kinds/deployment.ts';
import { parseEndpointSlice } from '../../../control-plane/kinds/endpoint-slice.ts';
import { parseNamespace } from '../../../control-plane/kinds/namespace.ts';
import { parsePod } from '../../../control-plane/kinds/pod.ts';
import { parseObject } from '../../../control-plane/kinds/registry.ts';
import { parseServiceAccount } from '../../../control-plane/kinds/service-account.ts';
import { parseService } from '../../../control-plane/kinds/service.ts';
import { reading } from './reading.ts';

const named = (
  apiVersion: string,
  kind: string,
  rest: object = {},
  metadata: object = {},
): Record<string, unknown> => ({
  apiVersion,
  kind,
  metadata: { name: 'reviews', namespace: 'shop', ...metadata },
  ...rest,
});
const service = (spec: unknown): unknown => named('v1', 'Service', { spec });
const template = {
  metadata: { labels: { app: 'reviews' } },
  spec: { containers: [{ name: 'app', image: 'reviews:1' }] },
};
const deployment = (spec: object): unknown =>
  named('apps/v1', 'Deployment', { spec: { selector: { matchLabels: { app: 'reviews' } }, template, ...spec } });
const slice = (rest: object): unknown =>
  named(
    'discovery.k8s.io/v1',
    'EndpointSlice',
    { addressType: 'IPv4', ...rest },
    { labels: { 'kubernetes.io/service-name': 'reviews' } },
  );

const serviceLines = (spec: unknown): readonly string[] => reading(parseService, service(spec)).lines;
const deploymentLines = (spec: object): readonly string[] => reading(parseDeployment, deployment(spec)).lines;
const pod = (metadata: object, status?: object): unknown =>
  named('v1', 'Pod', { spec: { containers: [{ name: 'app' }], nodeName: 'n1' }, ...(status && { status }) }, metadata);
const outcome = (value: unknown): unknown => {
  const { object, lines } = reading(parseObject, value);
  return object?.outcome === 'parsed' ? object.object.kind : [object?.outcome, ...lines];
};

t.test('metadata is read, and what is not given has its default', async (t) => {
  const full = named(
    'v1',
    'ServiceAccount',
    {},
    {
      labels: { app: 'reviews', 'app.kubernetes.io/version': '1' },
      annotations: { 'tulle.dev/inject': 'enabled' },
      uid: 'u-1',
      generation: 3,
      creationTimestamp: '2026-01-01T00:00:00Z',
      managedFields: [{}],
    },
  );
  t.same(reading(parseServiceAccount, full).object?.meta, {
    name: 'reviews',
    namespace: 'shop',
    labels: { app: 'reviews', 'app.kubernetes.io/version': '1' },
    annotations: { 'tulle.dev/inject': 'enabled' },
    uid: 'u-1',
    generation: 3,
    createdMs: Date.UTC(2026, 0, 1),
  });
  const least = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'a', creationTimestamp: null } };
  t.same(reading(parseServiceAccount, least).object?.meta, {
    name: 'a',
    namespace: 'default',
    labels: {},
    annotations: {},
    uid: '',
    generation: 0,
    createdMs: 0,
  });
  t.equal(reading(parseNamespace, named('v1', 'Namespace')).object?.meta.namespace, '', 'a Namespace is in none');
});

t.test('mistakes in metadata are told', async (t) => {
  const metadata = { name: 'Reviews_1', namespace: 'Shop', labels: { version: 1, 'bad key': 'x', app: 'no spaces' } };
  t.same(reading(parseServiceAccount, named('v1', 'ServiceAccount', {}, metadata)).lines, [
    'metadata.namespace: "Shop" is not valid here (use lower-case letters, digits and dashes, such as reviews-v2)',
    'metadata.labels[version]: must be a string, is the number 1 (put it in quotes: "1")',
    'metadata.labels[bad key]: "bad key" is not valid here (write a key such as app or app.kubernetes.io/name)',
    'metadata.labels[app]: "no spaces" is not valid here (use at most 63 letters, digits, dashes, underscores and dots)',
    'metadata.name: "Reviews_1" is not valid here (use lower-case letters, digits, dashes and dots, such as reviews-v2)',
  ]);
  t.same(reading(parseService, { apiVersion: 'v1', kind: 'Service' }).lines, [
    'metadata: is missing',
    'spec: is missing',
  ]);
});

t.test('a Service is read, other fields of it are ignored', async (t) => {
  const { object, lines } = reading(
    parseService,
    service({
      selector: { app: 'reviews' },
      clusterIP: '10.96.0.12',
      sessionAffinity: 'None',
      ports: [
        { name: 'http', port: 80, targetPort: 'web', appProtocol: 'kubernetes.io/h2c', nodePort: 30_000 },
        { name: 'dns', port: 53, protocol: 'UDP' },
      ],
    }),
  );
  t.same(lines, []);
  t.same(object?.spec, {
    type: 'ClusterIP',
    selector: { app: 'reviews' },
    clusterIps: ['10.96.0.12'],
    headless: false,
    ports: [
      { name: 'http', port: 80, targetPort: 'web', protocol: 'TCP', appProtocol: 'kubernetes.io/h2c' },
      { name: 'dns', port: 53, targetPort: 53, protocol: 'UDP', appProtocol: '' },
    ],
  });
  const headless = reading(parseService, service({ clusterIP: 'None', clusterIPs: ['None'] })).object?.spec;
  t.match(headless, { headless: true, clusterIps: [], ports: [] });
  const both = reading(parseService, service({ clusterIPs: ['10.0.0.1', 'fd00::1'], ports: [{ port: 80 }] })).object
    ?.spec;
  t.match(both, { headless: false, clusterIps: ['10.0.0.1', 'fd00::1'] });
});

t.test('a Service that an API server would refuse is refused', async (t) => {
  t.same(
    [
      serviceLines({}),
      serviceLines({ ports: [{ port: 0 }, { port: 65_536 }, { targetPort: 80 }] }),
      serviceLines({ ports: [{ port: 80 }, { port: 80, name: 'b' }] }),
      serviceLines({
        ports: [
          { port: 80, name: 'a' },
          { port: 81, name: 'a' },
        ],
      }),
      serviceLines({ ports: [{ port: '80', targetPort: 'Web', protocol: 'HTTP' }] }),
      serviceLines({ type: 'Cluster', clusterIP: 'x', selector: ['a'], ports: {} }),
    ],
    [
      ['spec.ports: needs at least one port'],
      [
        'spec.ports[0].port: is 0, must be 1 to 65535',
        'spec.ports[1].port: is 65536, must be 1 to 65535',
        'spec.ports[2].port: is missing',
      ],
      [
        'spec.ports: each port needs a name when there are several',
        'spec.ports: two ports have the same number and protocol',
      ],
      ['spec.ports: two ports have the same name'],
      [
        'spec.ports[0].port: must be an integer, is the string "80" (write it without quotes)',
        'spec.ports[0].targetPort: "Web" is not valid here (use at most 15 lower-case letters, digits and dashes, with a letter among them, such as http-api)',
        'spec.ports[0].protocol: must be TCP, UDP or SCTP, is the string "HTTP"',
      ],
      [
        'spec.type: must be ClusterIP, NodePort, LoadBalancer or ExternalName, is the string "Cluster"',
        'spec.selector: must be an object, is a list',
        'spec.clusterIP: "x" is no IP address (write an address such as 10.0.0.7 or fd00::7)',
        'spec.ports: must be a list, is an object',
      ],
    ],
  );
});

t.test('a Deployment is read with what running it needs', async (t) => {
  const container = {
    name: 'app',
    image: 'reviews:1',
    command: ['node'],
    args: ['server.js'],
    env: [
      { name: 'PORT', value: '8080' },
      { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'KEY', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
    ],
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { port: 'http' }, periodSeconds: 2 },
    resources: { limits: { cpu: '1' } },
  };
  const spec = { containers: [container], serviceAccountName: 'reviews', nodeSelector: { disk: 'ssd' } };
  const { object, lines } = reading(parseDeployment, deployment({ replicas: 3, template: { ...template, spec } }));
  t.same(lines, []);
  t.same(object?.spec, {
    replicas: 3,
    selector: { app: 'reviews' },
    template: {
      labels: { app: 'reviews' },
      annotations: {},
      spec: {
        serviceAccountName: 'reviews',
        terminationGracePeriodSeconds: 30,
        nodeSelector: { disk: 'ssd' },
        containers: [
          {
            name: 'app',
            image: 'reviews:1',
            command: ['node'],
            args: ['server.js'],
            workingDir: '',
            env: [
              { name: 'PORT', value: '8080', fieldPath: '' },
              { name: 'IP', value: '', fieldPath: 'status.podIP' },
              { name: 'KEY', value: '', fieldPath: '' },
            ],
            ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
            readinessProbe: {
              handler: { kind: 'http', path: '/', port: 'http', scheme: 'HTTP' },
              initialDelayMs: 0,
              periodMs: 2000,
              timeoutMs: 1000,
              successThreshold: 1,
              failureThreshold: 3,
            },
          },
        ],
      },
    },
  });
  const least = reading(parseDeployment, deployment({})).object?.spec;
  t.match(least, {
    replicas: 1,
    template: { spec: { serviceAccountName: 'default', terminationGracePeriodSeconds: 30 } },
  });
});

t.test('a Deployment that an API server would refuse is refused', async (t) => {
  const app = (rest: object): object => ({ ...template, spec: { containers: [{ name: 'app', ...rest }] } });
  t.same(
    [
      deploymentLines({ replicas: -1 }),
      deploymentLines({ selector: { matchLabels: { app: 'ratings' } } }),
      deploymentLines({ template: { ...template, spec: { containers: [] } } }),
      deploymentLines({ template: { ...template, spec: { containers: [{ name: 'a' }, { name: 'a' }] } } }),
      deploymentLines({ template: app({ readinessProbe: { periodSeconds: 1 } }) }),
      deploymentLines({ template: app({ command: 'node server.js', env: [{ name: 'PORT', value: 8080 }] }) }),
    ],
    [
      ['spec.replicas: is -1, must be 0 to 2147483647'],
      ['spec.selector: does not match the labels of the template (repeat them in spec.template.metadata.labels)'],
      ['spec.template.spec.containers: has 0 items, must have 1 to 100'],
      ['spec.template.spec.containers[1]: is the same as spec.template.spec.containers[0] (remove one of them)'],
      ['spec.template.spec.containers[0].readinessProbe: must have exactly one of httpGet, tcpSocket, grpc or exec'],
      [
        'spec.template.spec.containers[0].command: must be a list, is the string "node server.js"',
        'spec.template.spec.containers[0].env[0].value: must be a string, is the number 8080 (put it in quotes: "8080")',
      ],
    ],
  );
});

t.test('a Pod knows its addresses, its readiness and its owner', async (t) => {
  const owned = pod(
    {
      labels: { 'pod-template-hash': '5d4f' },
      ownerReferences: [{ kind: 'ReplicaSet', name: 'reviews-v1-5d4f', controller: true }],
      deletionTimestamp: '2026-01-01T00:00:00Z',
    },
    {
      phase: 'Running',
      podIP: '10.0.0.7',
      podIPs: [{ ip: '10.0.0.7' }, { ip: 'fd00::7' }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  );
  const { object } = reading(parsePod, owned);
  t.match(object, {
    owner: 'reviews-v1',
    terminating: true,
    status: { phase: 'Running', podIps: ['10.0.0.7', 'fd00::7'], ready: true },
    spec: { nodeName: 'n1', serviceAccountName: 'default' },
  });
  const set = pod({ ownerReferences: [{ kind: 'StatefulSet', name: 'db', controller: true }] }, { podIP: '10.0.0.8' });
  t.match(reading(parsePod, set).object, {
    owner: 'db',
    terminating: false,
    status: { podIps: ['10.0.0.8'], ready: false },
  });
  t.match(reading(parsePod, pod({})).object, {
    owner: 'reviews',
    status: { phase: 'Pending', podIps: [], ready: false },
  });
});

t.test('an EndpointSlice has the defaults of its conditions', async (t) => {
  const { object, lines } = reading(
    parseEndpointSlice,
    slice({
      endpoints: [
        { addresses: ['10.0.0.7'], targetRef: { kind: 'Pod', name: 'reviews-1' }, zone: 'a', nodeName: 'n1' },
        { addresses: ['10.0.0.8'], conditions: { ready: false }, hints: { forZones: [{ name: 'a' }, { name: 'b' }] } },
        { addresses: ['10.0.0.9'], conditions: { ready: false, serving: true, terminating: true } },
      ],
      ports: [{ name: '', port: 8080 }, { name: 'all' }],
    }),
  );
  t.same(lines, []);
  const plain = { zone: '', forZones: [], nodeName: '', pod: '' };
  const { service, addressType, ports, endpoints } = object ?? {};
  t.same(
    { service, addressType, ports, endpoints },
    {
      service: 'reviews',
      addressType: 'IPv4',
      ports: [{ name: '', port: 8080, appProtocol: '' }],
      endpoints: [
        {
          addresses: ['10.0.0.7'],
          ready: true,
          serving: true,
          terminating: false,
          zone: 'a',
          forZones: [],
          nodeName: 'n1',
          pod: 'reviews-1',
        },
        { ...plain, addresses: ['10.0.0.8'], forZones: ['a', 'b'], ready: false, serving: false, terminating: false },
        { ...plain, addresses: ['10.0.0.9'], ready: false, serving: true, terminating: true },
      ],
    },
  );
  t.same(reading(parseEndpointSlice, slice({ endpoints: [{ addresses: ['10.0.0.256'] }, { addresses: [] }] })).lines, [
    'endpoints[1].addresses: has 0 items, must have 1 to 100',
  ]);
  t.same(reading(parseEndpointSlice, slice({ endpoints: [{ addresses: ['fd00::1'] }] })).lines, [
    'endpoints[0].addresses[0]: "fd00::1" is no IPv4 address',
  ]);
});

t.test('only what is ours to read is read', async (t) => {
  t.same(
    [
      outcome(named('v1', 'Namespace')),
      outcome(named('v1', 'ConfigMap')),
      outcome(named('serving.knative.dev/v1', 'Service')),
      outcome(named('extensions/v1beta1', 'Deployment')),
      outcome(named('v1', 'Pood')),
      outcome(named('tulle.dev/v1', 'TrafficPolicy')),
      outcome({ kind: 'Service' }),
      outcome({ apiVersion: 'v1', kind: 7 }),
      outcome('text'),
    ],
    [
      'Namespace',
      ['skipped'],
      ['skipped'],
      ['refused', 'apiVersion: "extensions/v1beta1" is not supported for Deployment (write apps/v1)'],
      ['skipped'],
      ['refused', 'apiVersion: "tulle.dev/v1" is not supported for TrafficPolicy (write tulle.dev/v1alpha1)'],
      ['refused', 'apiVersion: is missing (every Kubernetes object has apiVersion and kind)'],
      ['refused', 'kind: must be a name, is the number 7'],
      ['refused', 'must be a Kubernetes object, is the string "text"'],
    ],
  );
});
