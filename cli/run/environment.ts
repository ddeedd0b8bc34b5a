/**
 * The environment and command line of a container, as Kubernetes makes them: service variables, declared variables, `$(NAME)`.
 * Pure; starts nothing. https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
 */
import type { Container } from '../../control-plane/kinds/pod-spec.ts';

/** What the downward API tells a container about its pod. */
export interface PodFacts {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly nodeName: string;
  readonly hostAddress: string;
  readonly serviceAccount: string;
  /** The address that the application is told, and should listen on. */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Where the application reaches a Service port: a cluster IP, or a loopback port of its sidecar. */
export interface ServiceAddress {
  readonly service: string;
  /** In the order of the Service's ports; the first is the one that `<SERVICE>_SERVICE_PORT` means. */
  readonly ports: readonly { readonly name: string; readonly address: string; readonly port: number }[];
}

export interface Invocation {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Command and environment of `container`. `base` are variables that any of the others may replace (PATH, HTTP_PROXY).
 * Unknown field paths are left out and told through `unknown`.
 */
export function invocation(
  container: Container,
  facts: PodFacts,
  services: readonly ServiceAddress[],
  base: Readonly<Record<string, string>>,
  unknown: (fieldPath: string) => void = () => undefined,
): Invocation {
  const declared: Record<string, string> = { ...serviceVariables(services) };
  for (const { name, value, fieldPath } of container.env) {
    const resolved = fieldPath === '' ? expand(value, declared) : fieldValue(fieldPath, facts);
    if (resolved === null) unknown(fieldPath);
    else declared[name] = resolved;
  }
  return {
    argv: [...container.command, ...container.args].map((word) => expand(word, declared)),
    env: { ...base, HOSTNAME: facts.name, ...declared },
  };
}

/** `$(NAME)` becomes the value of NAME, stays when there is none; `$$` is a dollar sign (Kubernetes' expansion syntax). */
export function expand(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\(([^)]*)\)/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : Object.hasOwn(values, name) ? (values[name] ?? '') : whole,
  );
}

/** `<SERVICE>_SERVICE_HOST`, `_PORT` and `_PORT_<NAME>` (Kubernetes, "Discovering services"). */
function serviceVariables(services: readonly ServiceAddress[]): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const { service, ports } of services) {
    const [first] = ports;
    if (first === undefined) continue;
    const prefix = `${variableName(service)}_SERVICE`;
    variables[`${prefix}_HOST`] = first.address;
    variables[`${prefix}_PORT`] = String(first.port);
    for (const { name, port } of ports)
      if (name !== '') variables[`${prefix}_PORT_${variableName(name)}`] = String(port);
  }
  return variables;
}

function variableName(name: string): string {
  return name.toUpperCase().replaceAll(/[-.]/g, '_');
}

/** The downward API's fields (core/v1 ObjectFieldSelector); null for one that a pod does not have. */
function fieldValue(path: string, facts: PodFacts): string | null {
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (keyed !== null) return (keyed[1] === 'labels' ? facts.labels : facts.annotations)[keyed[2] ?? ''] ?? '';
  switch (path) {
    case 'metadata.name':
      return facts.name;
    case 'metadata.namespace':
      return facts.namespace;
    case 'metadata.uid':
      return facts.uid;
    case 'spec.nodeName':
      return facts.nodeName;
    case 'spec.serviceAccountName':
      return facts.serviceAccount;
    case 'status.podIP':
    case 'status.podIPs':
      return facts.address;
    case 'status.hostIP':
    case 'status.hostIPs':
      return facts.hostAddress;
    default:
      return null;
  }
}
