/**
 * What a sidecar would do with a request, from the mesh to the edited message: generated, decoded and matched as in a sidecar,
 * without a socket between. Knows no case.
 */
import { TYPE } from '#api/names.ts';
import { formatProblems } from '#base/problems.ts';
import { fullName } from '../../control-plane/generate/plan.ts';
import { generateResource } from '../../control-plane/generate/resources.ts';
import { lookup } from '../../control-plane/model/lookups.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';
import { decodeRoute } from '../../proxy/config/decode/route.ts';
import type { WeightedClusterConfig } from '../../proxy/config/snapshot.ts';
import { directAnswer } from '../../proxy/forwarding/direct-answer.ts';
import { editRequest, editResponse } from '../../proxy/forwarding/edits.ts';
import { HeaderList } from '../../proxy/http/headers.ts';
import { EMPTY_BODY, RequestHead } from '../../proxy/http/message.ts';
import { findRoute, linkRouteTable } from '../../proxy/routing/table.ts';

export interface Asked {
  readonly host: string;
  /** Where the connection goes, when it is not where `host` says: the destination that was captured. */
  readonly to?: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Decision {
  readonly status: number;
  /** Empty unless the request is forwarded. */
  readonly clusters: readonly WeightedClusterConfig[];
  /** As the first cluster would get it. */
  readonly sent: RequestHead;
  /** Added to its answer, or those of our own. */
  readonly answered: HeaderList;
}

/** @param from namespace of the client */
export function decide(mesh: Mesh, asked: Asked, from: string): Decision {
  const { to = asked.host } = asked;
  const destination = lookup(mesh, to.includes(':') ? to : `${to}:80`, from);
  if (destination === null) throw new Error(`${to} is not known`);
  const client = { namespace: from, workload: null, dialect: 'sidecar' } as const;
  const made = generateResource(mesh, client, TYPE.route, fullName(destination), '');
  const table = made === null ? null : decodeRoute(made.message);
  if (!table?.ok) throw new Error(table === null ? 'no table' : formatProblems(table.error));
  const sent = requestHead(asked);
  const answered = new HeaderList();
  const found = findRoute(linkRouteTable(table.value), sent.authority, sent.method, sent.path, sent.headers);
  if (found === null) return { status: 404, clusters: [], sent, answered };
  const { config } = found;
  if (config.action.kind !== 'forward') {
    const { head } = directAnswer(config, sent);
    editResponse(head.headers, config, null);
    return { status: head.status, clusters: [], sent, answered: head.headers };
  }
  const { clusters } = config.action;
  editRequest(sent, config, config.action, clusters[0] ?? null, null);
  editResponse(answered, config, clusters[0] ?? null);
  return { status: 200, clusters, sent, answered };
}

function requestHead({ host, path, headers }: Asked): RequestHead {
  const list = new HeaderList();
  for (const [name, value] of Object.entries(headers)) list.add(name.toLowerCase(), value);
  return new RequestHead('GET', path, 'http', host, 11, list, EMPTY_BODY, true, false, '', false);
}
