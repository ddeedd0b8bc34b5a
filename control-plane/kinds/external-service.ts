/**
 * ExternalService (tulle.dev/v1alpha1): hosts outside the mesh, how they are found, and TLS that the sidecar begins for the application.
 * Knows nothing of who else names the same host.
 */
import { isIP } from 'node:net';
import { X509Certificate } from 'node:crypto';
import { ANYTHING, checked, choice, string, type ValueOf } from './field.ts';
import type { KubeObject } from './meta.ts';
import { type ParseContext, readObject, strictEnvelope } from './object.ts';
import { defaulted, list, object, optional, required, type Rule } from './structure.ts';
import { appProtocol, dnsLabel, dnsSubdomain, portNumber } from './text-forms.ts';

/** TLS to the outside, begun by the sidecar. */
export interface OriginationSpec {
  /** `Simple`: the server is verified; `Mutual`: and shown a certificate of ours; `Insecure`: whoever answers is taken. */
  readonly mode: 'Simple' | 'Mutual' | 'Insecure';
  /** Empty: the host. */
  readonly sni: string;
  /** Names of which the server's certificate must carry one. Empty: the SNI. */
  readonly subjectAltNames: readonly string[];
  /** PEM; empty: see `caFile`. */
  readonly caBundle: string;
  /** Path at the sidecar; empty, with `caBundle` too: the roots of the system. */
  readonly caFile: string;
  readonly clientCertificate: { readonly certFile: string; readonly keyFile: string } | null;
  readonly minVersion: '1.2' | '1.3';
}

export interface ExternalPortSpec {
  readonly number: number;
  /** May be empty. */
  readonly name: string;
  readonly appProtocol: string;
  /** Where the hosts listen. */
  readonly targetPort: number;
  readonly tls: OriginationSpec | null;
}

export interface ExternalServiceSpec {
  /** Lower-case; `*.` at the beginning stands for one label or more. */
  readonly hosts: readonly string[];
  readonly addresses: readonly string[];
  readonly resolution: 'DNS' | 'Static' | 'PassThrough';
  readonly ports: readonly ExternalPortSpec[];
}

export interface ExternalService extends KubeObject {
  readonly kind: 'ExternalService';
  readonly spec: ExternalServiceSpec;
}

const MAX_HOSTS = 64;
const MAX_ADDRESSES = 256;
const MAX_PORTS = 32;
const MAX_PEM_LENGTH = 262_144;
const MAX_PATH_LENGTH = 1024;

const hostName = string({
  minLength: 1,
  maxLength: 253,
  pattern: /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  advice: 'write a host name in lower case such as api.example.com or *.example.com',
});

const address = checked(
  string({ minLength: 2, maxLength: 45, pattern: /^[0-9a-f:.]+$/, advice: 'write an address such as 203.0.113.7' }),
  (text) => (isIP(text) === 0 ? `${JSON.stringify(text)} is no IP address` : ''),
  'write an address such as 203.0.113.7 or 2001:db8::7',
);

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** What is wrong with a bundle of certificates in PEM; empty: nothing. */
function bundleProblem(pem: string): string {
  const blocks = pem.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) return 'holds no certificate in PEM';
  for (const [i, block] of blocks.entries()) {
    try {
      void new X509Certificate(block);
    } catch {
      return `its certificate ${i + 1} cannot be read`;
    }
  }
  return '';
}

const bundle = checked(
  string({ minLength: 1, maxLength: MAX_PEM_LENGTH }),
  bundleProblem,
  'write the PEM text itself, not in base64 once more',
);

const path = string({
  minLength: 1,
  maxLength: MAX_PATH_LENGTH,
  pattern: /^\/[^\n]*$/,
  advice: 'write an absolute path such as /etc/tulle/external/ca.crt',
});

const uniqueText = { keys: [], of: (text: string) => text };

const TLS_MEMBERS = {
  mode: defaulted(
    choice(['Simple', 'Mutual', 'Insecure']),
    'Simple',
    'Simple: the server is verified. Mutual: and it is shown clientCertificate. Insecure: whoever answers is taken.',
  ),
  sni: optional(dnsSubdomain, '', 'Server name to ask for. Default: the host.'),
  subjectAltNames: optional(
    list(dnsSubdomain, { minItems: 1, maxItems: 16, unique: uniqueText }),
    [],
    'DNS names of which the certificate of the server must carry one. Default: sni.',
  ),
  caBundle: optional(
    bundle,
    '',
    'Certificates in PEM that the server must descend from. Default: the roots of the system.',
  ),
  caFile: optional(
    path,
    '',
    'The same as a file at the sidecar, such as one of a mounted Secret; read again when it changes.',
  ),
  clientCertificate: optional(
    object({
      certFile: required(path, 'Certificate chain in PEM, a file at the sidecar.'),
      keyFile: required(path, 'Its private key in PEM, a file at the sidecar.'),
    }),
    null,
    'What the server is shown, for the mode Mutual.',
  ),
  minVersion: defaulted(choice(['1.2', '1.3']), '1.2', 'Oldest version of TLS that is spoken.'),
};
type RawTls = ValueOf<ReturnType<typeof object<typeof TLS_MEMBERS>>>;

const TLS_RULES: readonly Rule<RawTls>[] = [
  {
    rule: '!has(self.caBundle) || !has(self.caFile)',
    message: 'caBundle and caFile are two ways to say one thing: leave one out',
    at: 'caFile',
    holds: ({ caBundle, caFile }) => caBundle === '' || caFile === '',
  },
  {
    rule: "self.mode != 'Insecure' || (!has(self.caBundle) && !has(self.caFile) && !has(self.subjectAltNames))",
    message: 'the mode Insecure verifies nothing: leave out caBundle, caFile and subjectAltNames',
    at: 'mode',
    holds: ({ mode, caBundle, caFile, subjectAltNames }) =>
      mode !== 'Insecure' || (caBundle === '' && caFile === '' && subjectAltNames.length === 0),
  },
  {
    rule: "(self.mode == 'Mutual') == has(self.clientCertificate)",
    message: 'clientCertificate must be given for the mode Mutual, and only for it',
    at: 'clientCertificate',
    holds: ({ mode, clientCertificate }) => (mode === 'Mutual') === (clientCertificate !== null),
  },
];

/** The application would begin TLS within the sidecar's TLS. */
const TLS_OF_APPLICATION = ['tls', 'https', 'kubernetes.io/wss'];

const PORT_MEMBERS = {
  number: required(portNumber, 'Port that applications ask for.'),
  name: optional(
    dnsLabel,
    '',
    'Name of the port. Without appProtocol its beginning says the protocol, as in a Service.',
  ),
  appProtocol: optional(
    { ...appProtocol, schema: { ...appProtocol.schema, maxLength: 316 } },
    '',
    'What the application speaks on it: http, grpc, tcp, tls and the like, as in a Service.',
  ),
  targetPort: optional(portNumber, null, 'Port that the hosts listen on. Default: number.'),
  tls: optional(object(TLS_MEMBERS, TLS_RULES), null, 'The sidecar begins TLS, so that the application need not.'),
};
type RawPort = ValueOf<ReturnType<typeof object<typeof PORT_MEMBERS>>>;

const PORT_RULES: readonly Rule<RawPort>[] = [
  {
    rule: `!has(self.tls) || !has(self.appProtocol) || !['${TLS_OF_APPLICATION.join("', '")}'].exists(word, word == self.appProtocol)`,
    message: 'with tls it is the sidecar that begins TLS: declare what is inside, such as http or tcp',
    at: 'appProtocol',
    holds: ({ tls, appProtocol: declared }) => tls === null || !TLS_OF_APPLICATION.includes(declared),
  },
];

const SPEC_MEMBERS = {
  hosts: optional(
    list(hostName, { minItems: 1, maxItems: MAX_HOSTS, unique: uniqueText }),
    [],
    'DNS names by which applications know it. *. at the beginning stands for one label or more.',
  ),
  addresses: optional(
    list(address, { minItems: 1, maxItems: MAX_ADDRESSES, unique: uniqueText }),
    [],
    'IP addresses. Static: where connections go. PassThrough: those that are let through to themselves. DNS: further ones at which applications reach it.',
  ),
  resolution: defaulted(
    choice(['DNS', 'Static', 'PassThrough']),
    'DNS',
    'DNS: the host that was asked for is resolved. Static: connections go to addresses. PassThrough: to the very address that was asked for.',
  ),
  ports: required(
    list(object(PORT_MEMBERS, PORT_RULES), {
      minItems: 1,
      maxItems: MAX_PORTS,
      unique: { keys: ['number'], of: ({ number }) => String(number) },
    }),
    'Ports of the hosts.',
  ),
};
type RawSpec = ValueOf<ReturnType<typeof object<typeof SPEC_MEMBERS>>>;

const SPEC_RULES: readonly Rule<RawSpec>[] = [
  {
    rule: "self.resolution != 'DNS' || has(self.hosts)",
    message: 'must be given for the resolution DNS',
    at: 'hosts',
    holds: ({ resolution, hosts }) => resolution !== 'DNS' || hosts.length > 0,
  },
  {
    rule: "self.resolution == 'DNS' || has(self.addresses)",
    message: 'must be given unless the resolution is DNS',
    at: 'addresses',
    holds: ({ resolution, addresses }) => resolution === 'DNS' || addresses.length > 0,
  },
  {
    rule: "self.resolution != 'PassThrough' || !has(self.hosts)",
    message: 'PassThrough goes by addresses: leave hosts out, or write the resolution DNS',
    at: 'hosts',
    holds: ({ resolution, hosts }) => resolution !== 'PassThrough' || hosts.length === 0,
  },
  {
    rule: "!has(self.addresses) || self.resolution != 'DNS' || self.hosts.exists(host, !host.startsWith('*.'))",
    message: 'addresses need a host without * to lead to',
    at: 'addresses',
    holds: ({ addresses, resolution, hosts }) =>
      addresses.length === 0 || resolution !== 'DNS' || hosts.some((host) => !host.startsWith('*.')),
  },
  {
    rule: 'self.ports.all(port, !has(port.name) || self.ports.filter(other, has(other.name) && other.name == port.name).size() == 1)',
    message: 'two ports have the same name',
    at: 'ports',
    holds: ({ ports }) => {
      const names = ports.map(({ name }) => name).filter((name) => name !== '');
      return new Set(names).size === names.length;
    },
  },
];

/** What the CRD's schema is made from. */
export const EXTERNAL_SERVICE_SPEC = object(SPEC_MEMBERS, SPEC_RULES);

const EXTERNAL_SERVICE = object({
  ...strictEnvelope(dnsSubdomain),
  spec: required(EXTERNAL_SERVICE_SPEC),
  status: optional(ANYTHING, null),
});

export function parseExternalService(value: unknown, context: ParseContext): ExternalService | null {
  return readObject('ExternalService', EXTERNAL_SERVICE, value, context, ({ spec }, common) => ({
    kind: 'ExternalService',
    ...common,
    spec: { ...spec, ports: spec.ports.map((port) => ({ ...port, targetPort: port.targetPort ?? port.number })) },
  }));
}
