/**
 * Features of Gateway API that concern a mesh, by the names that the specification gives them, and what of each is there.
 * Data and its rendering; a test holds the document to it.
 */
import { TABLES } from './tables.ts';

export interface Feature {
  /** Gateway API, `pkg/features`. */
  readonly name: string;
  readonly support: 'yes' | 'no';
  /** Tables of the conformance suite that show it. */
  readonly tables: readonly string[];
  /** What is missing, or which test of ours shows what the suite has no table for. */
  readonly note: string;
}

function yes(name: string, tables: readonly string[], note = ''): Feature {
  return { name, support: 'yes', tables, note };
}

function no(name: string, note: string): Feature {
  return { name, support: 'no', tables: [], note };
}

const MIRROR = '`test/stack/policies/mirror.test.ts`: through real sidecars; the suite has tables for gateways only';
const RETRY = "`test/stack/routes/retry.test.ts`: the suite's rules, through sockets";
const GRPC = '`test/interop/grpc-mesh.test.ts`: with grpc-js through real sidecars';

export const FEATURES: readonly Feature[] = [
  yes('Mesh', ['MeshBasic', 'MeshFrontend', 'MeshTrafficSplit']),
  yes('MeshClusterIPMatching', ['MeshFrontendHostname'], '`test/unit/compile/compile.test.ts`: names and addresses'),
  yes('MeshConsumerRoute', ['MeshConsumerRoute']),
  yes('MeshHTTPRouteBackendRequestHeaderModification', ['MeshHTTPRouteBackendRequestHeaderModifier']),
  yes('MeshHTTPRouteNamedRouteRule', ['MeshHTTPRouteNamedRule']),
  yes('MeshHTTPRouteQueryParamMatching', ['MeshHTTPRouteQueryParamMatching']),
  yes('MeshHTTPRouteRedirectPath', ['MeshHTTPRouteRedirectPath']),
  yes('MeshHTTPRouteRedirectPort', ['MeshHTTPRouteRedirectPort']),
  yes('MeshHTTPRouteRewritePath', ['MeshHTTPRouteRewritePath']),
  yes('MeshHTTPRouteSchemeRedirect', ['MeshHTTPRouteSchemeRedirect']),
  yes('HTTPRoute', [
    'MeshHTTPRouteMatching',
    'MeshHTTPRouteRequestHeaderModifier',
    'MeshHTTPRouteSimpleSameNamespace',
    'MeshHTTPRouteWeight',
    'MeshHTTPRouteRedirectHostAndStatus',
  ]),
  yes('HTTPRoute303RedirectStatusCode', ['MeshHTTPRoute303Redirect']),
  yes('HTTPRoute307RedirectStatusCode', ['MeshHTTPRoute307Redirect']),
  yes('HTTPRoute308RedirectStatusCode', ['MeshHTTPRoute308Redirect']),
  yes('HTTPRouteHostRewrite', [], '`test/golden/compile/filters.in.yaml`; on a rule, not on a backendRef'),
  yes('HTTPRouteMethodMatching', [], '`test/golden/compile/precedence.in.yaml`'),
  yes('HTTPRouteParentRefPort', ['MeshPorts']),
  yes('HTTPRouteResponseHeaderModification', ['MeshConsumerRoute', 'MeshFrontend', 'MeshPorts']),
  yes('HTTPRouteRequestTimeout', [], '`test/stack/data-plane`'),
  yes('HTTPRouteBackendTimeout', [], '`test/stack/data-plane`'),
  yes('HTTPRouteBackendProtocolWebSocket', [], '`test/stack/data-plane`'),
  yes('HTTPRouteBackendProtocolH2C', [], '`test/stack/grpc.test.ts`'),
  yes('HTTPRouteRetry', [], RETRY),
  yes('HTTPRouteRetryBackendTimeout', [], RETRY),
  yes('HTTPRouteRetryConnectionError', [], RETRY),
  yes(
    'HTTPRouteCORS',
    [],
    "`test/stack/routes/cors.test.ts`: the suite's table, through sockets; on a rule, not on a backendRef",
  ),
  yes('HTTPRouteRequestMirror', [], MIRROR),
  yes('HTTPRouteRequestMultipleMirrors', [], MIRROR),
  yes('HTTPRouteRequestPercentageMirror', [], MIRROR),
  yes('GRPCRoute', ['MeshGRPCRouteRequestHeaderModifier', 'MeshGRPCRouteWeight'], GRPC),
  yes('GRPCRouteNamedRouteRule', [], '`test/golden/compile/grpc-route.in.yaml`'),
  yes('TLSRoute', [], '`test/interop/envoy-server-names.test.ts`, beside Envoy; passed through, never ended'),
  yes('TCPRoute', [], '`test/golden/compile/stream-routes.in.yaml`; one rule'),
  yes('ReferenceGrant', [], '`test/golden/compile/reference-grant.in.yaml`, for routes to Services'),
  no('Gateway', 'this is a mesh: parents of routes are Services, those of other kinds are left to other controllers'),
];

/** The table of `docs/conformance.md`. */
export function report(): string {
  const rows = FEATURES.map(({ name, support, tables, note }) => {
    const cases = TABLES.filter((table) => tables.includes(table.name)).map(
      (table) => `${table.name} (${table.cases.length})`,
    );
    return `| \`${name}\` | ${support} | ${cases.join(', ')} | ${note} |`;
  });
  return [
    '| feature | supported | tables of the suite (cases) | otherwise shown by, or missing |',
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}
