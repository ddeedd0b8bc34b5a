/**
 * The CustomResourceDefinitions of our own kinds as data, their schemas taken from the fields that the parsers read with.
 * `scripts/crds.ts` writes them to `crds/`; a test holds the written files against this. Knows no YAML.
 */
import { EXTERNAL_SERVICE_SPEC } from './external-service.ts';
import type { Schema } from './field.ts';
import { MESH_POLICY_NAME, MESH_POLICY_SPEC } from './mesh-policy.ts';
import { TRAFFIC_POLICY_SPEC } from './traffic-policy.ts';

const text = (maxLength: number, description: string): Schema => ({ type: 'string', maxLength, description });

/** `metav1.Condition`. */
const CONDITION: Schema = {
  type: 'object',
  required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
  properties: {
    type: text(316, 'Accepted, ResolvedRefs or InForce.'),
    status: { type: 'string', enum: ['True', 'False', 'Unknown'], description: 'Whether it holds.' },
    observedGeneration: {
      type: 'integer',
      format: 'int64',
      minimum: 0,
      description: 'Generation of the policy it is about.',
    },
    lastTransitionTime: { type: 'string', format: 'date-time', description: 'When the status last changed.' },
    reason: text(1024, 'One word for machines.'),
    message: text(32_768, 'A sentence for people.'),
  },
};

/** `PolicyAncestorStatus` of Gateway API (GEP-713). */
const ANCESTOR: Schema = {
  type: 'object',
  required: ['ancestorRef', 'controllerName', 'conditions'],
  properties: {
    ancestorRef: {
      type: 'object',
      description: 'The target this is about.',
      required: ['name'],
      properties: {
        group: { ...text(253, 'API group of the target.'), default: '' },
        kind: { ...text(63, 'Kind of the target.'), default: 'Service' },
        namespace: text(63, 'Namespace of the target.'),
        name: text(253, 'Name of the target.'),
        sectionName: text(253, 'Port or rule of the target.'),
      },
    },
    controllerName: text(253, 'Who wrote this.'),
    conditions: {
      type: 'array',
      description: 'What holds for the policy on this target.',
      minItems: 1,
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: CONDITION,
    },
  },
};

const POLICY_STATUS: Schema = {
  type: 'object',
  description: 'Written by the control plane.',
  required: ['ancestors'],
  properties: {
    ancestors: {
      type: 'array',
      description: 'One entry for each target, as in the PolicyStatus of Gateway API.',
      maxItems: 16,
      'x-kubernetes-list-type': 'atomic',
      items: ANCESTOR,
    },
  },
};

/** Of kinds that attach to nothing. */
const PLAIN_STATUS: Schema = {
  type: 'object',
  description: 'Written by the control plane.',
  properties: {
    conditions: {
      type: 'array',
      description: 'What holds for the object.',
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: CONDITION,
    },
  },
};

const AGE = { name: 'AGE', type: 'date', jsonPath: '.metadata.creationTimestamp' };

const POLICY_COLUMNS = [
  { name: 'TARGET', type: 'string', jsonPath: '.spec.targetRefs[0].name', description: 'The first target.' },
  {
    name: 'ACCEPTED',
    type: 'string',
    jsonPath: '.status.ancestors[0].conditions[?(@.type=="Accepted")].status',
    description: 'Whether the first target takes the policy.',
  },
  AGE,
];

const ACCEPTED = {
  name: 'ACCEPTED',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Accepted")].status',
  description: 'Whether it is in force.',
};

/** A whole `apiextensions.k8s.io/v1` object. */
export type Definition = Readonly<Record<string, unknown>>;

interface Described {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  readonly labels?: Readonly<Record<string, string>>;
  readonly description: string;
  readonly columns: readonly unknown[];
  readonly spec: Schema;
  readonly status: Schema;
  /** CEL over the whole object. */
  readonly rules?: readonly { readonly rule: string; readonly message: string }[];
}

function definition({ kind, plural, shortNames, scope, labels, rules, ...of }: Described): Definition {
  const { description, columns, spec, status } = of;
  const schema = {
    type: 'object',
    description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: 'tulle.dev/v1alpha1.' },
      kind: { type: 'string', description: `${kind}.` },
      metadata: { type: 'object' },
      spec: { description: 'What is wanted.', ...spec },
      status,
    },
    ...(rules !== undefined && { 'x-kubernetes-validations': rules }),
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.tulle.dev`, ...(labels !== undefined && { labels }) },
    spec: {
      group: 'tulle.dev',
      scope,
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames, categories: ['tulle'] },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  };
}

export const TRAFFIC_POLICY_CRD = definition({
  kind: 'TrafficPolicy',
  plural: 'trafficpolicies',
  shortNames: ['tp'],
  scope: 'Namespaced',
  // GEP-713: what kind of policy attachment this is.
  labels: { 'gateway.networking.k8s.io/policy': 'Direct' },
  description: 'How calls to a Service, a port of it, an ExternalService or a route behave.',
  columns: POLICY_COLUMNS,
  spec: TRAFFIC_POLICY_SPEC.schema,
  status: POLICY_STATUS,
});

export const EXTERNAL_SERVICE_CRD = definition({
  kind: 'ExternalService',
  plural: 'externalservices',
  shortNames: ['es'],
  scope: 'Namespaced',
  description: 'Hosts outside the mesh that applications call.',
  columns: [
    { name: 'HOST', type: 'string', jsonPath: '.spec.hosts[0]', description: 'The first host.' },
    { name: 'RESOLUTION', type: 'string', jsonPath: '.spec.resolution', description: 'How it is found.' },
    ACCEPTED,
    AGE,
  ],
  spec: EXTERNAL_SERVICE_SPEC.schema,
  status: PLAIN_STATUS,
});

export const MESH_POLICY_CRD = definition({
  kind: 'MeshPolicy',
  plural: 'meshpolicies',
  shortNames: ['mp'],
  scope: 'Cluster',
  description: 'What holds for the whole mesh.',
  columns: [
    {
      name: 'UNKNOWN',
      type: 'string',
      jsonPath: '.spec.outbound.unknownDestinations',
      description: 'What becomes of connections to unknown places.',
    },
    AGE,
  ],
  spec: MESH_POLICY_SPEC.schema,
  status: PLAIN_STATUS,
  rules: [
    {
      rule: `self.metadata.name == '${MESH_POLICY_NAME}'`,
      message: `must have the name ${MESH_POLICY_NAME}: a mesh has one`,
    },
  ],
});

/** By the name of the file in `crds/`. */
export const DEFINITIONS: Readonly<Record<string, Definition>> = {
  'externalservices.yaml': EXTERNAL_SERVICE_CRD,
  'meshpolicies.yaml': MESH_POLICY_CRD,
  'trafficpolicies.yaml': TRAFFIC_POLICY_CRD,
};
