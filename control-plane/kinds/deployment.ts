/** Deployment (apps/v1): what `tulle run` starts. The compiler needs only pods. */
import { integer, MAX_INT32 } from './field.ts';
import { envelope, type ParseContext, readObject } from './object.ts';
import { POD_TEMPLATE, podSpecOf } from './pod-spec.ts';
import { optional, part, required } from './structure.ts';
import { dnsSubdomain, labels } from './text-forms.ts';
import type { KubeObject } from './meta.ts';
import type { PodSpec } from './pod-spec.ts';

export interface Deployment extends KubeObject {
  readonly kind: 'Deployment';
  readonly spec: {
    readonly replicas: number;
    readonly selector: Readonly<Record<string, string>>;
    readonly template: {
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
      readonly spec: PodSpec;
    };
  };
}

const DEPLOYMENT = part({
  ...envelope(dnsSubdomain),
  spec: required(
    part({
      replicas: optional(integer(0, MAX_INT32), 1),
      // `matchExpressions` are not read: who selects by them alone has an empty selector here, and `run` needs none.
      selector: required(part({ matchLabels: optional(labels, {}) })),
      template: required(POD_TEMPLATE),
    }),
  ),
});

export function parseDeployment(value: unknown, context: ParseContext): Deployment | null {
  return readObject('Deployment', DEPLOYMENT, value, context, ({ spec }, common, problems) => {
    const { metadata, spec: podSpec } = spec.template;
    const selector = spec.selector.matchLabels;
    // The same check as the API server's: such a Deployment would make pods for ever.
    if (Object.entries(selector).some(([key, wanted]) => metadata.labels[key] !== wanted)) {
      problems.add(
        'spec.selector',
        'does not match the labels of the template',
        'repeat them in spec.template.metadata.labels',
      );
    }
    return {
      kind: 'Deployment',
      ...common,
      spec: {
        replicas: spec.replicas,
        selector,
        template: { labels: metadata.labels, annotations: metadata.annotations, spec: podSpecOf(podSpec) },
      },
    };
  });
}
