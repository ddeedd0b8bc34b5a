/**
 * The CustomResourceDefinition of TrafficPolicy as data, its schema taken from the fields that the parser reads with.
 * `scripts/crds.ts` writes it to `crds/`; a test holds the written file against this. Knows no YAML.
 */
import type { Schema } from './field.ts';
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

const STATUS: Schema = {
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

const COLUMNS = [
  { name: 'TARGET', type: 'string', jsonPath: '.spec.targetRefs[0].name', description: 'The first target.' },
  {
    name: 'ACCEPTED',
    type: 'string',
    jsonPath: '.status.ancestors[0].conditions[?(@.type=="Accepted")].status',
    description: 'Whether the first target takes the policy.',
  },
  { name: 'AGE', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

/** A whole `apiextensions.k8s.io/v1` object. */
export const TRAFFIC_POLICY_CRD: Readonly<Record<string, unknown>> = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: 'trafficpolicies.tulle.dev',
    // GEP-713: what kind of policy attachment this is.
    labels: { 'gateway.networking.k8s.io/policy': 'Direct' },
  },
  spec: {
    group: 'tulle.dev',
    scope: 'Namespaced',
    names: {
      kind: 'TrafficPolicy',
      listKind: 'TrafficPolicyList',
      plural: 'trafficpolicies',
      singular: 'trafficpolicy',
      shortNames: ['tp'],
      categories: ['tulle'],
    },
    versions: [
      {
        name: 'v1alpha1',
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: COLUMNS,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: 'How calls to a Service, a port of it, or a route behave.',
            required: ['spec'],
            properties: {
              apiVersion: { type: 'string', description: 'tulle.dev/v1alpha1.' },
              kind: { type: 'string', description: 'TrafficPolicy.' },
              metadata: { type: 'object' },
              spec: { description: 'What is wanted.', ...TRAFFIC_POLICY_SPEC.schema },
              status: STATUS,
            },
          },
        },
      },
    ],
  },
};
