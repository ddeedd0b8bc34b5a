/**
 * Route tables to snapshot types: what is taken, what is refused and in which words.
 * What the control plane makes of a mesh is tested in test/golden.
 */
import t from 'tap';
import { HeaderValueOption_HeaderAppendAction } from '#api/generated/envoy/config/core/v3/core.ts';
import { RedirectAction_RedirectResponseCode, RouteConfiguration } from '#api/generated/envoy/config/route/v3/route.ts';
import { RetryOptions } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION } from '#api/names.ts';
import { decodeRoute } from '../../../proxy/config/decode/route.ts';
import { any, bytes, outcome, seconds } from '../../support/xds-messages.ts';

const GOOD_ROUTES = {
  name: 'reviews:80',
  virtualHosts: [
    {
      name: 'all',
      domains: ['*', 'Reviews.shop'],
      retryPolicy: { retryOn: '5xx' },
      routes: [
        {
          name: 'split',
          match: {
            pathSpecifier: { $case: 'pathSeparatedPrefix', value: '/api' },
            headers: [
              {
                name: 'X-User',
                headerMatchSpecifier: {
                  $case: 'stringMatch',
                  value: { matchPattern: { $case: 'safeRegex', value: { regex: 'a|b' } } },
                },
                invertMatch: true,
              },
              { name: 'x-any' },
            ],
            queryParameters: [
              {
                name: 'v',
                queryParameterMatchSpecifier: {
                  $case: 'stringMatch',
                  value: { matchPattern: { $case: 'exact', value: '' }, ignoreCase: true },
                },
              },
            ],
          },
          metadata: {
            typedFilterMetadata: {
              'tulle.retry': any(EXTENSION.retryOptions, RetryOptions, {
                methods: ['POST'],
                idempotencyKeyHeader: 'Idempotency-Key',
                safeResets: true,
              }),
            },
          },
          action: {
            $case: 'route',
            value: {
              clusterSpecifier: {
                $case: 'weightedClusters',
                value: {
                  clusters: [
                    { name: 'v1', weight: 90 },
                    { name: 'v2', weight: 10, responseHeadersToRemove: ['Server'] },
                  ],
                },
              },
              prefixRewrite: '/',
              clusterNotFoundResponseCode: 2,
              timeout: { seconds: 0n, nanos: 1 },
              retryPolicy: {
                retryOn: 'connect-failure, retriable-status-codes',
                numRetries: 2,
                retriableStatusCodes: [503],
                perTryTimeout: seconds(2),
                retryBackOff: { baseInterval: seconds(1) },
              },
            },
          },
          requestHeadersToAdd: [
            {
              header: { key: 'X-Env', value: '100%%' },
              appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
            },
          ],
        },
        {
          name: 'rest',
          match: { pathSpecifier: { $case: 'prefix', value: '/' } },
          action: { $case: 'route', value: { clusterSpecifier: { $case: 'cluster', value: 'v1' } } },
        },
        {
          match: { pathSpecifier: { $case: 'path', value: '/old' } },
          action: {
            $case: 'redirect',
            value: {
              schemeRewriteSpecifier: { $case: 'httpsRedirect', value: true },
              responseCode: RedirectAction_RedirectResponseCode.PERMANENT_REDIRECT,
            },
          },
        },
        {
          match: { pathSpecifier: { $case: 'safeRegex', value: { regex: '/x/\\d+' } } },
          action: {
            $case: 'directResponse',
            value: { status: 404, body: { specifier: { $case: 'inlineString', value: 'no' } } },
          },
        },
      ],
    },
  ],
};

t.test('a route table keeps the meaning and the defaults of Envoy', async (t) => {
  const plain = { headers: [], query: [], requestHeaders: null, responseHeaders: null };
  const whole = { requestHeaders: null, responseHeaders: null };
  t.same(outcome(decodeRoute(bytes(RouteConfiguration, GOOD_ROUTES))), {
    name: 'reviews:80',
    virtualHosts: [
      {
        name: 'all',
        domains: ['*', 'reviews.shop'],
        routes: [
          {
            name: 'split',
            path: { kind: 'segments', value: '/api' },
            headers: [
              { name: 'x-user', match: { kind: 'regex', value: 'a|b' }, invert: true },
              { name: 'x-any', match: { kind: 'present', present: true }, invert: false },
            ],
            query: [{ name: 'v', match: { kind: 'exact', value: '', ignoreCase: true }, invert: false }],
            requestHeaders: { changes: [{ name: 'x-env', value: '100%', how: 'set' }], remove: [] },
            responseHeaders: null,
            action: {
              kind: 'forward',
              clusters: [
                { cluster: 'v1', weight: 90, ...whole },
                {
                  cluster: 'v2',
                  weight: 10,
                  requestHeaders: null,
                  responseHeaders: { changes: [], remove: ['server'] },
                },
              ],
              prefixRewrite: '/',
              hostRewrite: '',
              timeoutMs: 1,
              idleTimeoutMs: 0,
              missingCluster: 'unavailable-destination',
              retry: {
                attempts: 2,
                on: ['connect-failure', 'retriable-status-codes'],
                statuses: [503],
                perTryTimeoutMs: 2000,
                methods: ['POST'],
                idempotencyKeyHeader: 'idempotency-key',
                safeResets: true,
                backoffBaseMs: 1000,
                backoffMaxMs: 10_000,
              },
            },
          },
          {
            name: 'rest',
            path: { kind: 'prefix', value: '/' },
            ...plain,
            action: {
              kind: 'forward',
              clusters: [{ cluster: 'v1', weight: 1, ...whole }],
              prefixRewrite: '',
              hostRewrite: '',
              timeoutMs: 15_000,
              idleTimeoutMs: 0,
              retry: {
                attempts: 1,
                on: ['5xx'],
                statuses: [],
                perTryTimeoutMs: 0,
                methods: [],
                idempotencyKeyHeader: '',
                safeResets: false,
                backoffBaseMs: 25,
                backoffMaxMs: 250,
              },
            },
          },
          {
            name: '',
            path: { kind: 'exact', value: '/old' },
            ...plain,
            action: {
              kind: 'redirect',
              redirect: { scheme: 'https', host: '', port: 0, path: '', prefixRewrite: '', status: 308 },
            },
          },
          {
            name: '',
            path: { kind: 'regex', value: '/x/\\d+' },
            ...plain,
            action: { kind: 'respond', status: 404, body: 'no' },
          },
        ],
      },
    ],
  });
});

function to(value: object): object {
  return { $case: 'route', value };
}

t.test('everything that is wrong with a route table is told at once', async (t) => {
  const one = { $case: 'cluster', value: 'c' };
  const table = bytes(RouteConfiguration, {
    virtualHosts: [
      {
        name: 'a',
        domains: ['x', 'a*b'],
        routes: [{}, { match: { pathSpecifier: { $case: 'safeRegex', value: { regex: '(?=a)' } } }, action: to({}) }],
      },
      {
        name: 'a',
        domains: ['X'],
        routes: [
          {
            match: {
              pathSpecifier: { $case: 'pathSeparatedPrefix', value: 'a/' },
              headers: [
                { name: ':path' },
                { name: 'bad name', treatMissingHeaderAsEmpty: true },
                { name: 'h', headerMatchSpecifier: { $case: 'stringMatch', value: {} } },
              ],
              queryParameters: [{}],
            },
            action: to({
              clusterSpecifier: { $case: 'weightedClusters', value: { clusters: [{ name: '', weight: 0 }] } },
              timeout: seconds(-1),
              idleTimeout: seconds(1e10),
              retryPolicy: {
                retryOn: 'envoy-ratelimited,reset',
                retriableStatusCodes: [42],
                retryBackOff: { baseInterval: seconds(2), maxInterval: seconds(1) },
                perTryIdleTimeout: seconds(1),
              },
              upgradeConfigs: [{ upgradeType: 'CONNECT' }],
            }),
            requestHeadersToAdd: [
              { header: { key: 'content-length', value: '1' } },
              { header: { key: ':path', value: 'a\r\nb' } },
              { header: { key: 'x', value: '%REQ(x)%' } },
            ],
          },
          {
            match: { pathSpecifier: { $case: 'prefix', value: '/' } },
            action: {
              $case: 'directResponse',
              value: { status: 100, body: { specifier: { $case: 'filename', value: '/etc/passwd' } } },
            },
          },
          {
            match: { pathSpecifier: { $case: 'safeRegex', value: { regex: '' } } },
            action: to({ clusterSpecifier: one, prefixRewrite: '/' }),
          },
        ],
      },
    ],
  });
  t.same(outcome(decodeRoute(table)), [
    'name: must not be empty',
    'virtual_hosts[0].domains[1]: "a*b" is no domain (a host, *.suffix, prefix.* or *)',
    'virtual_hosts[0].routes[0].match: no path_specifier set (set prefix, path, safe_regex or path_separated_prefix)',
    'virtual_hosts[0].routes[0]: no action set (set route, redirect or direct_response)',
    'virtual_hosts[0].routes[1].match.safe_regex: is no regular expression that can be matched in linear time (Invalid regular expression: /(?=a)/l: Cannot be executed in linear time) (write it in the syntax of RE2)',
    'virtual_hosts[0].routes[1].route: no cluster_specifier set (set cluster or weighted_clusters)',
    'virtual_hosts[1].name: a is used twice',
    'virtual_hosts[1].domains[0]: x is used twice (each domain belongs to one virtual host)',
    'virtual_hosts[1].routes[0].match.path_separated_prefix: must begin with / and not end with it, without ? and #',
    'virtual_hosts[1].routes[0].match.headers[0].name: :path is not supported (supported: header names and :method)',
    'virtual_hosts[1].routes[0].match.headers[1].name: must be a header name',
    'virtual_hosts[1].routes[0].match.headers[1].treat_missing_header_as_empty: treating a missing header as empty is not supported (leave it out)',
    'virtual_hosts[1].routes[0].match.headers[2].string_match: no match_pattern set (set exact, prefix, suffix, contains or safe_regex)',
    'virtual_hosts[1].routes[0].match.query_parameters[0].name: must have 1 to 1024 characters',
    'virtual_hosts[1].routes[0].request_headers_to_add[0].header.key: content-length is written by the proxy itself and cannot be changed',
    'virtual_hosts[1].routes[0].request_headers_to_add[1].header.key: must be a header name (pseudo headers cannot be changed)',
    'virtual_hosts[1].routes[0].request_headers_to_add[1].header.value: must be a header value: visible ASCII, no space at either end, not empty',
    'virtual_hosts[1].routes[0].request_headers_to_add[2].header.value: substitution of %COMMANDS% is not supported (supported: plain values; write %% for a percent sign)',
    'virtual_hosts[1].routes[0].route.upgrade_configs[0]: upgrade CONNECT is not supported (supported: websocket)',
    'virtual_hosts[1].routes[0].route.weighted_clusters.clusters[0].name: must not be empty',
    'virtual_hosts[1].routes[0].route.weighted_clusters: weights add up to 0 (from 1 to 4294967295)',
    'virtual_hosts[1].routes[0].route.timeout: is no valid duration (seconds must not be negative, nanos must be from 0 to 999999999)',
    'virtual_hosts[1].routes[0].route.idle_timeout: is out of bounds (from 0 to 2147483647 milliseconds)',
    'virtual_hosts[1].routes[0].route.retry_policy.per_try_idle_timeout: an idle timeout per try is not supported (leave it out)',
    'virtual_hosts[1].routes[0].route.retry_policy.retry_on: retry condition envoy-ratelimited is not supported (supported: connect-failure, refused-stream, reset, gateway-error, 5xx, retriable-status-codes, cancelled, deadline-exceeded, internal, resource-exhausted, unavailable)',
    'virtual_hosts[1].routes[0].route.retry_policy.retriable_status_codes: must be HTTP statuses (from 100 to 599)',
    'virtual_hosts[1].routes[0].route.retry_policy.retry_back_off.max_interval: must not be below base_interval',
    'virtual_hosts[1].routes[1].direct_response.status: must be from 200 to 599',
    'virtual_hosts[1].routes[1].direct_response.body.filename: a body from a file is not supported (supported: inline_string)',
    'virtual_hosts[1].routes[2].match.safe_regex: must not be empty',
    'virtual_hosts[1].routes[2].route.prefix_rewrite: cannot be used with safe_regex (match by prefix or path)',
  ]);
});

const rewriting = (regex: string, substitution: string, rest: object = {}): object => ({
  match: { pathSpecifier: { $case: 'prefix', value: '/' } },
  action: to({
    clusterSpecifier: { $case: 'cluster', value: 'c' },
    regexRewrite: { pattern: { regex }, substitution },
    retryPolicy: { retryOn: 'reset,unavailable, cancelled' },
    ...rest,
  }),
});
const decoded = (route: object): ReturnType<typeof decodeRoute> =>
  decodeRoute(bytes(RouteConfiguration, { name: 'r', virtualHosts: [{ name: 'h', domains: ['*'], routes: [route] }] }));

t.test('a path is rewritten by an expression, and gRPC statuses are kept apart from the rest', async (t) => {
  const good = decoded(rewriting('^/(a)/*', String.raw`/\1\\`));
  t.match(good.ok ? good.value.virtualHosts[0]?.routes[0]?.action : good.error, {
    regexRewrite: { regex: '^/(a)/*', substitution: String.raw`/\1\\` },
    retry: { on: ['reset'], grpc: ['unavailable', 'cancelled'] },
  });
  const where = 'virtual_hosts[0].routes[0].route.regex_rewrite';
  t.same(
    [
      rewriting('', '/'),
      rewriting('(a)', String.raw`\2`),
      rewriting('a', String.raw`\x`),
      rewriting('a', 'b', { prefixRewrite: '/' }),
    ].map((route) => outcome(decoded(route))),
    [
      [`${where}.pattern.regex: must not be empty`],
      [`${where}.substitution: names a group that the pattern does not have`],
      [String.raw`${where}.substitution: must be visible ASCII, with \0 to \9 for groups`],
      [`${where}: cannot be used with prefix_rewrite (set one of them)`],
    ],
  );
});
