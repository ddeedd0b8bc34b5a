/** ExternalService and MeshPolicy: what is read, what is refused and in which words; the definitions on disk. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { systemClock } from '#base/clock.ts';
import { DEFINITIONS } from '../../../control-plane/kinds/custom-resource.ts';
import { parseExternalService } from '../../../control-plane/kinds/external-service.ts';
import { parseMeshPolicy } from '../../../control-plane/kinds/mesh-policy.ts';
import { testAuthority } from '../../support/fake-control-plane.ts';
import { reading } from './reading.ts';
import { accepts, filled, type Schema } from './structural-schema.ts';

interface Definition {
  readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Schema } }] };
}

const SPEC = (DEFINITIONS['externalservices.yaml'] as unknown as Definition).spec.versions[0].schema.openAPIV3Schema
  .properties?.['spec'] as Schema;
const PEM = testAuthority(systemClock).trustBundle;

function read(spec: unknown) {
  const metadata = { name: 'api', namespace: 'shop' };
  return reading(parseExternalService, { apiVersion: 'tulle.dev/v1alpha1', kind: 'ExternalService', metadata, spec });
}

const yaml = (text: string): unknown => parse(text);

t.test('the definitions on disk are those that the fields make', async (t) => {
  for (const [file, definition] of Object.entries(DEFINITIONS)) {
    const text = readFileSync(join(import.meta.dirname, '../../../crds', file), 'utf8');
    t.same(parse(text, { version: '1.1' }), definition, `${file}: else run scripts/crds.ts`);
  }
});

t.test('everything that can be said is read, and the rest has its default', async (t) => {
  const { object, lines } = read({
    hosts: ['api.example', '*.api.example'],
    ports: [
      {
        number: 80,
        name: 'http',
        targetPort: 443,
        appProtocol: 'http',
        tls: { caBundle: PEM, subjectAltNames: ['a.example'] },
      },
      { number: 443 },
    ],
  });
  t.same(lines, []);
  t.same(object?.spec, {
    hosts: ['api.example', '*.api.example'],
    addresses: [],
    resolution: 'DNS',
    ports: [
      {
        number: 80,
        name: 'http',
        appProtocol: 'http',
        targetPort: 443,
        tls: {
          mode: 'Simple',
          sni: '',
          subjectAltNames: ['a.example'],
          caBundle: PEM,
          caFile: '',
          clientCertificate: null,
          minVersion: '1.2',
        },
      },
      { number: 443, name: '', appProtocol: '', targetPort: 443, tls: null },
    ],
  });
});

/** What is written, and what is said about it. What the definition cannot say is marked: there the API server takes it. */
const REFUSED: readonly (readonly [spec: string, line: string, taken?: 'by the API server'])[] = [
  ['{ hosts: [a.example] }', 'spec.ports: is missing'],
  ['{ hosts: [a.example], ports: [] }', 'spec.ports: has 0 items, must have 1 to 32'],
  ['{ ports: [{ number: 80 }] }', 'spec.hosts: must be given for the resolution DNS'],
  ['{ resolution: Static, ports: [{ number: 80 }] }', 'spec.addresses: must be given unless the resolution is DNS'],
  [
    '{ resolution: PassThrough, hosts: [a.example], addresses: [192.0.2.1], ports: [{ number: 80 }] }',
    'spec.hosts: PassThrough goes by addresses: leave hosts out, or write the resolution DNS',
  ],
  [
    '{ hosts: ["*.example"], addresses: [192.0.2.1], ports: [{ number: 80 }] }',
    'spec.addresses: addresses need a host without * to lead to',
  ],
  [
    '{ hosts: [A.example], ports: [{ number: 80 }] }',
    'spec.hosts[0]: "A.example" is not valid here (write a host name in lower case such as api.example.com or *.example.com)',
  ],
  [
    '{ hosts: [a.*.example], ports: [{ number: 80 }] }',
    'spec.hosts[0]: "a.*.example" is not valid here (write a host name in lower case such as api.example.com or *.example.com)',
  ],
  [
    '{ hosts: [a.example, a.example], ports: [{ number: 80 }] }',
    'spec.hosts[1]: is the same as spec.hosts[0] (remove one of them)',
  ],
  [
    '{ resolution: Static, addresses: [10.0.0.300], ports: [{ number: 80 }] }',
    'spec.addresses[0]: "10.0.0.300" is no IP address (write an address such as 203.0.113.7 or 2001:db8::7)',
    'by the API server',
  ],
  [
    '{ hosts: [a.example], ports: [{ number: 80 }, { number: 80 }] }',
    'spec.ports[1]: is the same as spec.ports[0] (remove one of them)',
  ],
  [
    '{ hosts: [a.example], ports: [{ number: 80, name: a }, { number: 81, name: a }] }',
    'spec.ports: two ports have the same name',
  ],
  ['{ hosts: [a.example], ports: [{ number: 70000 }] }', 'spec.ports[0].number: is 70000, must be 1 to 65535'],
  [
    '{ hosts: [a.example], ports: [{ number: 80, appProtocol: https, tls: {} }] }',
    'spec.ports[0].appProtocol: with tls it is the sidecar that begins TLS: declare what is inside, such as http or tcp',
  ],
  [
    '{ hosts: [a.example], ports: [{ number: 80, tls: { caBundle: x, caFile: /x } }] }',
    'spec.ports[0].tls.caBundle: holds no certificate in PEM (write the PEM text itself, not in base64 once more)',
  ],
  [
    '{ hosts: [a.example], ports: [{ number: 80, tls: { caFile: ca.crt } }] }',
    'spec.ports[0].tls.caFile: "ca.crt" is not valid here (write an absolute path such as /etc/tulle/external/ca.crt)',
  ],
  [
    '{ hosts: [a.example], ports: [{ number: 80, tls: { mode: Insecure, caFile: /ca.crt } }] }',
    'spec.ports[0].tls.mode: the mode Insecure verifies nothing: leave out caBundle, caFile and subjectAltNames',
  ],
  [
    '{ hosts: [a.example], ports: [{ number: 80, tls: { mode: Mutual } }] }',
    'spec.ports[0].tls.clientCertificate: clientCertificate must be given for the mode Mutual, and only for it',
  ],
  [
    '{ hosts: [a.example], ports: [{ number: 80, tls: { clientCertificate: { certFile: /a, keyFile: /b } } }] }',
    'spec.ports[0].tls.clientCertificate: clientCertificate must be given for the mode Mutual, and only for it',
  ],
  [
    '{ hosts: [a.example], ports: [{ number: 80, tls: { minVersion: 1.2 } }] }',
    'spec.ports[0].tls.minVersion: must be 1.2 or 1.3, is the number 1.2',
  ],
  ['{ host: a.example, ports: [{ number: 80 }] }', "spec.host: is an unknown field (did you mean 'hosts'?)"],
];

t.test('what is wrong is refused with place and advice, as an API server would refuse it', async (t) => {
  for (const [text, line, taken] of REFUSED) {
    const { object, lines } = read(yaml(text));
    t.same([object, lines], [null, [line]], text);
    t.equal(accepts(SPEC, filled(SPEC, yaml(text))), taken !== undefined, `the definition says of ${text}`);
  }
  const both = `{ hosts: [a.example], ports: [{ number: 80, tls: { caFile: /x, caBundle: ${JSON.stringify(PEM)} } }] }`;
  t.same(read(yaml(both)).lines, [
    'spec.ports[0].tls.caFile: caBundle and caFile are two ways to say one thing: leave one out',
  ]);
  t.notOk(accepts(SPEC, filled(SPEC, yaml(both))));
});

const policy = (name: string, spec: unknown) =>
  reading(parseMeshPolicy, { apiVersion: 'tulle.dev/v1alpha1', kind: 'MeshPolicy', metadata: { name }, spec });

t.test('a mesh has one policy, named default', async (t) => {
  const { object, lines } = policy('default', { outbound: { unknownDestinations: 'Refuse' } });
  t.same([object?.meta.namespace, object?.spec, lines], ['', { outbound: { unknownDestinations: 'Refuse' } }, []]);
  t.same(policy('default', {}).object?.spec, { outbound: { unknownDestinations: null } });
  t.same(policy('other', {}).lines, [
    `metadata.name: "other" is not the name of the mesh's policy (write default: a mesh has one)`,
  ]);
  t.same(policy('default', { outbound: { unknownDestinations: 'refuse' } }).lines, [
    'spec.outbound.unknownDestinations: must be PassThrough or Refuse, is the string "refuse"',
  ]);
});
