/**
 * What a client says of itself in its first request, held against what it has proven (docs/wire.md, "Who is calling").
 * Knows no token and no certificate.
 */
import type { Node } from '#api/generated/envoy/config/core/v3/core.ts';
import { err, ok } from '#base/result.ts';
import type { Result } from '#base/result.ts';
import type { Caller } from '../identity/caller.ts';
import type { Client, Dialect } from '../generate/client.ts';

/** `sidecar~<pod>~<namespace>`: `~` cannot stand in a Kubernetes name. */
const SIDECAR_PREFIX = 'sidecar~';
/** gRPC clients of xDS announce it; Envoy does not. */
const GRPC_FEATURE = 'envoy.lb.does_not_support_overprovisioning';
const MAX_NODE_ID = 1024;

export interface Introduction {
  readonly client: Client;
  /** `node.id` as given, for people. */
  readonly nodeId: string;
}

/** The client to serve, or why its node does not agree with its proof. */
export function introduce(node: Node, caller: Caller): Result<Introduction, string> {
  if (node.id === '') return err('node.id is missing');
  if (node.id.length > MAX_NODE_ID) return err(`node.id is longer than ${MAX_NODE_ID} characters`);
  const dialect = dialectOf(node);
  const zone = node.locality?.zone ?? '';
  const place = zone === '' ? {} : { zone };
  if (!node.id.startsWith(SIDECAR_PREFIX)) {
    return ok({
      nodeId: node.id,
      client: { namespace: caller.namespace, workload: workloadKey(caller.namespace, caller.pod), dialect, ...place },
    });
  }
  const [, pod = '', namespace, ...more] = node.id.split('~');
  if (pod === '' || namespace === undefined || more.length > 0) {
    return err('node.id does not have the form sidecar~<pod>~<namespace>');
  }
  if (namespace !== caller.namespace) return err('node.id names another namespace than the proof of identity');
  if (caller.pod !== null && pod !== caller.pod) return err('node.id names another pod than the proof of identity');
  const proven = caller.pod === null ? { serviceAccount: caller.serviceAccount } : {};
  const client = { namespace, workload: workloadKey(namespace, pod), dialect, ...proven, ...place };
  return ok({ nodeId: node.id, client });
}

/** Key in `Mesh.workloads`. */
function workloadKey(namespace: string, pod: string | null): string | null {
  return pod === null ? null : `${namespace}/${pod}`;
}

function dialectOf(node: Node): Dialect {
  if (node.userAgentName.startsWith('gRPC') || node.clientFeatures.includes(GRPC_FEATURE)) return 'grpc';
  return node.id.startsWith(SIDECAR_PREFIX) && node.userAgentName !== 'envoy' ? 'sidecar' : 'envoy';
}
