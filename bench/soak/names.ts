/** What application and clients of the soak agree on, and the manifests that put it into a mesh. */
export const PORTS = { web: 8080, calls: 7001, bytes: 9000 } as const;
/** Names the port of the application's gRPC server, for who wants no other. */
export const GRPC_PORT_VARIABLE = 'SOAK_GRPC_PORT';
export type ServiceName = keyof typeof PORTS;
export const NAMESPACE = 'soak';
export const REPLICAS = 2;

function bytes(buffer: Buffer): Buffer {
  return buffer;
}

function method(path: string, isStream: boolean) {
  return {
    path,
    requestStream: isStream,
    responseStream: isStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

export const GRPC_METHODS = { say: method('/soak.Echo/Say', false), chat: method('/soak.Echo/Chat', true) };

const PROTOCOLS: Readonly<Record<ServiceName, string>> = { web: 'http', calls: 'grpc', bytes: 'tcp' };

/** @param app command of the application */
export function workloads(app: readonly string[]): readonly object[] {
  return [
    ...deployment('client', 1, ['sleep', '86400'], null),
    ...deployment('echo', REPLICAS, app, { tcpSocket: { port: PORTS.calls }, periodSeconds: 2, timeoutSeconds: 2 }),
    ...Object.entries(PORTS).map(([name, port]) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: NAMESPACE },
      spec: { selector: { app: 'echo' }, ports: [{ port, appProtocol: PROTOCOLS[name as ServiceName] }] },
    })),
  ];
}

/** A route whose content changes with `round`, and a policy with it. */
export function route(round: number): readonly object[] {
  const value = String(round);
  const filters = [{ type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [{ name: 'x-round', value }] } }];
  return [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'web', namespace: NAMESPACE },
      spec: {
        parentRefs: [{ group: '', kind: 'Service', name: 'web' }],
        rules: [{ filters, backendRefs: [{ name: 'web', port: PORTS.web }] }],
      },
    },
    {
      apiVersion: 'tulle.dev/v1alpha1',
      kind: 'TrafficPolicy',
      metadata: { name: 'web', namespace: NAMESPACE },
      spec: {
        targetRefs: [{ group: '', kind: 'Service', name: 'web' }],
        timeouts: { request: `${20 + (round % 5)}s` },
      },
    },
  ];
}

function deployment(name: string, replicas: number, command: readonly string[], probe: object | null): object[] {
  const env = [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }];
  const container = { name: 'main', image: name, command, env, ...(probe !== null && { readinessProbe: probe }) };
  const spec = { serviceAccountName: name, terminationGracePeriodSeconds: 5, containers: [container] };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: NAMESPACE } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: NAMESPACE },
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        template: { metadata: { labels: { app: name } }, spec },
      },
    },
  ];
}
