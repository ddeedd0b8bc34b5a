/**
 * Which parser reads which apiVersion and kind: one explicit list.
 * Knows no file, no API server and nothing of what objects mean together.
 */
import { parseDeployment } from './deployment.ts';
import { parseEndpointSlice } from './endpoint-slice.ts';
import { parseExternalService } from './external-service.ts';
import { describe } from './field.ts';
import { parseGrpcRoute } from './grpc-route.ts';
import { parseHttpRoute } from './http-route.ts';
import { parseMeshPolicy } from './mesh-policy.ts';
import type { Kind, KubeObject } from './meta.ts';
import { parseNamespace } from './namespace.ts';
import type { ParseContext } from './object.ts';
import { parsePod } from './pod.ts';
import { parseReferenceGrant } from './reference-grant.ts';
import { parseServiceAccount } from './service-account.ts';
import { parseService } from './service.ts';
import { isRecord } from './structure.ts';
import { parseTcpRoute } from './tcp-route.ts';
import { parseTlsRoute } from './tls-route.ts';
import { parseTrafficPolicy } from './traffic-policy.ts';

const READERS = {
  Namespace: { group: '', versions: ['v1'], parse: parseNamespace },
  ServiceAccount: { group: '', versions: ['v1'], parse: parseServiceAccount },
  Service: { group: '', versions: ['v1'], parse: parseService },
  Pod: { group: '', versions: ['v1'], parse: parsePod },
  Deployment: { group: 'apps', versions: ['v1'], parse: parseDeployment },
  EndpointSlice: { group: 'discovery.k8s.io', versions: ['v1'], parse: parseEndpointSlice },
  HTTPRoute: { group: 'gateway.networking.k8s.io', versions: ['v1'], parse: parseHttpRoute },
  GRPCRoute: { group: 'gateway.networking.k8s.io', versions: ['v1'], parse: parseGrpcRoute },
  // v1alpha2 let `hostnames` out; what it takes beside that, v1 takes too.
  TLSRoute: { group: 'gateway.networking.k8s.io', versions: ['v1', 'v1alpha3', 'v1alpha2'], parse: parseTlsRoute },
  TCPRoute: { group: 'gateway.networking.k8s.io', versions: ['v1', 'v1alpha2'], parse: parseTcpRoute },
  // The two versions differ in name only; most manifests there are say v1beta1.
  ReferenceGrant: { group: 'gateway.networking.k8s.io', versions: ['v1', 'v1beta1'], parse: parseReferenceGrant },
  TrafficPolicy: { group: 'tulle.dev', versions: ['v1alpha1'], parse: parseTrafficPolicy },
  ExternalService: { group: 'tulle.dev', versions: ['v1alpha1'], parse: parseExternalService },
  MeshPolicy: { group: 'tulle.dev', versions: ['v1alpha1'], parse: parseMeshPolicy },
} as const satisfies Record<
  Kind,
  {
    group: string;
    versions: readonly [string, ...string[]];
    parse: (value: unknown, context: ParseContext) => KubeObject | null;
  }
>;

type Parsed = NonNullable<ReturnType<(typeof READERS)[Kind]['parse']>>;

/** `skipped`: a kind that is not ours to read. `refused`: problems were added. */
export type Outcome =
  | { readonly outcome: 'parsed'; readonly object: Parsed }
  | { readonly outcome: 'skipped'; readonly kind: string }
  | { readonly outcome: 'refused'; readonly kind: Kind | null };

/** The apiVersions in which a kind is read, the one to write first. */
function apiVersionsOf(kind: Kind): readonly [string, ...string[]] {
  const { group, versions } = READERS[kind];
  const [first, ...others] = versions.map((version) => (group === '' ? version : `${group}/${version}`));
  return [first ?? '', ...others];
}

/** Reads any object. Every kind that is not in the list is skipped, and so is one of the same name in a group of somebody else's (Knative has a Service too). */
export function parseObject(value: unknown, context: ParseContext): Outcome {
  if (!isRecord(value)) return refuse(context, '', `must be a Kubernetes object, is ${describe(value)}`);
  const { apiVersion, kind } = value;
  for (const [key, given] of Object.entries({ apiVersion, kind })) {
    if (given === undefined)
      return refuse(context, key, 'is missing', 'every Kubernetes object has apiVersion and kind');
    if (typeof given !== 'string' || given === '') {
      return refuse(context, key, `must be a name, is ${describe(given)}`, '');
    }
  }
  const name = kind as string;
  if (!isKnown(name)) return { outcome: 'skipped', kind: name };
  const wanted = apiVersionsOf(name);
  if (wanted.includes(apiVersion as string)) {
    const object = READERS[name].parse(value, context);
    return object === null ? { outcome: 'refused', kind: name } : { outcome: 'parsed', object };
  }
  if (isForeign(apiVersion as string)) return { outcome: 'skipped', kind: name };
  return refuse(
    context,
    'apiVersion',
    `${JSON.stringify(apiVersion)} is not supported for ${name}`,
    `write ${wanted[0]}`,
    name,
  );
}

function refuse(context: ParseContext, path: string, reason: string, advice = '', kind: Kind | null = null): Outcome {
  context.problems.add(path, reason, advice, context.placeOf(path) ?? context.place ?? undefined);
  return { outcome: 'refused', kind };
}

function isKnown(kind: string): kind is Kind {
  return Object.hasOwn(READERS, kind);
}

/** A group that is neither ours nor of Kubernetes: those have no dot, or end in `k8s.io`. */
function isForeign(apiVersion: string): boolean {
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  return group.includes('.') && !group.endsWith('k8s.io') && !group.endsWith('tulle.dev');
}
