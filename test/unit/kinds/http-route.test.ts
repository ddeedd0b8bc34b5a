/** HTTPRoute: defaults, bounds and rules of Gateway API v1. */
import t from 'tap';
import { parseHttpRoute } from '../../../control-plane/kinds/http-route.ts';
import { reading } from './reading.ts';

const route = (spec: unknown): unknown => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'reviews', namespace: 'shop' },
  spec,
  status: { parents: [] },
});
const withRule = (rule: object): unknown => route({ rules: [rule] });
const withMatch = (match: object): unknown => withRule({ matches: [match] });
const lines = (value: unknown): readonly string[] => reading(parseHttpRoute, value).lines;
/** A problem without the words of the regular expression engine. */
const beforeEngine = (line: string): string => line.slice(0, line.indexOf(' ('));
const repeat = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

t.test('a full route is read', async (t) => {
  const { object, lines } = reading(
    parseHttpRoute,
    route({
      parentRefs: [{ group: '', kind: 'Service', name: 'reviews', port: 80 }],
      hostnames: ['*.shop.example'],
      rules: [
        {
          name: 'split',
          matches: [
            {
              path: { type: 'Exact', value: '/a' },
              headers: [{ name: 'X-User', value: 'jo' }],
              queryParams: [{ type: 'RegularExpression', name: 'q', value: 'a+' }],
              method: 'GET',
            },
            { path: { value: '/b' } },
          ],
          filters: [
            {
              type: 'RequestHeaderModifier',
              requestHeaderModifier: {
                set: [{ name: 'a', value: '1' }],
                add: [{ name: 'b', value: '2' }],
                remove: ['c'],
              },
            },
            {
              type: 'URLRewrite',
              urlRewrite: { hostname: 'x', path: { type: 'ReplaceFullPath', replaceFullPath: '/y' } },
            },
            { type: 'ExtensionRef', extensionRef: { group: 'a.example', kind: 'Thing', name: 'x' } },
          ],
          backendRefs: [
            { name: 'reviews-v1', port: 80, weight: 90 },
            {
              name: 'reviews-v2',
              namespace: 'beta',
              port: 80,
              filters: [{ type: 'ResponseHeaderModifier', responseHeaderModifier: { remove: ['x'] } }],
            },
          ],
          timeouts: { request: '10s', backendRequest: '0s' },
          retry: { codes: [503, 429], attempts: 3, backoff: '100ms' },
        },
      ],
    }),
  );
  t.same(lines, []);
  t.same(object?.spec, {
    parentRefs: [{ group: '', kind: 'Service', namespace: '', name: 'reviews', port: 80, sectionName: '' }],
    hostnames: ['*.shop.example'],
    rules: [
      {
        name: 'split',
        matches: [
          {
            path: { type: 'Exact', value: '/a' },
            headers: [{ type: 'Exact', name: 'X-User', value: 'jo' }],
            queryParams: [{ type: 'RegularExpression', name: 'q', value: 'a+' }],
            method: 'GET',
          },
          { path: { type: 'PathPrefix', value: '/b' }, headers: [], queryParams: [], method: '' },
        ],
        filters: [
          {
            type: 'RequestHeaderModifier',
            modifier: { set: [{ name: 'a', value: '1' }], add: [{ name: 'b', value: '2' }], remove: ['c'] },
          },
          { type: 'URLRewrite', rewrite: { hostname: 'x', path: { type: 'ReplaceFullPath', value: '/y' } } },
          { type: 'unsupported', name: 'ExtensionRef' },
        ],
        backendRefs: [
          { group: '', kind: 'Service', namespace: '', name: 'reviews-v1', port: 80, weight: 90, filters: [] },
          {
            group: '',
            kind: 'Service',
            namespace: 'beta',
            name: 'reviews-v2',
            port: 80,
            weight: 1,
            filters: [{ type: 'ResponseHeaderModifier', modifier: { set: [], add: [], remove: ['x'] } }],
          },
        ],
        timeouts: { requestMs: 10_000, backendRequestMs: 0 },
        retry: { codes: [503, 429], attempts: 3, backoffMs: 100 },
        sessionPersistence: null,
      },
    ],
  });
});

const readSession = (sessionPersistence: object) => reading(parseHttpRoute, route({ rules: [{ sessionPersistence }] }));

t.test('session persistence (GEP-1619) with its defaults and its rules', async (t) => {
  const bare = { sessionName: '', type: 'Cookie', absoluteTimeout: null, idleTimeout: null, cookieConfig: null };
  t.same(readSession({}).object?.spec.rules[0]?.sessionPersistence, bare);
  const full = { sessionName: 'a', type: 'Cookie', absoluteTimeout: '1h', idleTimeout: '5m' };
  t.same(
    readSession({ ...full, cookieConfig: { lifetimeType: 'Permanent' } }).object?.spec.rules[0]?.sessionPersistence,
    {
      ...full,
      absoluteTimeout: 3_600_000,
      idleTimeout: 300_000,
      cookieConfig: { lifetimeType: 'Permanent' },
    },
  );
  t.same(
    [
      { cookieConfig: { lifetimeType: 'Permanent' } },
      { type: 'Header', cookieConfig: {} },
      { sessionName: 'a b' },
      { sessionName: 'a=b' },
      { type: 'Query' },
    ].map((one) => readSession(one).lines[0]),
    [
      'spec.rules[0].sessionPersistence.absoluteTimeout: absoluteTimeout must be given when the lifetimeType of the cookie is Permanent',
      'spec.rules[0].sessionPersistence.cookieConfig: cookieConfig can only be set with type Cookie',
      'spec.rules[0].sessionPersistence.sessionName: "a b" is not valid here (use letters, digits and -)',
      'spec.rules[0].sessionPersistence.sessionName: "a=b" is not valid here (use letters, digits and -)',
      'spec.rules[0].sessionPersistence.type: must be Cookie or Header, is the string "Query"',
    ],
  );
});

t.test('what is not given has the defaults of Gateway API', async (t) => {
  const everything = { path: { type: 'PathPrefix', value: '/' }, headers: [], queryParams: [], method: '' };
  const rule = {
    name: '',
    matches: [everything],
    filters: [],
    backendRefs: [],
    timeouts: { requestMs: null, backendRequestMs: null },
    retry: null,
    sessionPersistence: null,
  };
  const least = { parentRefs: [], hostnames: [], rules: [rule] };
  t.same(reading(parseHttpRoute, route({})).object?.spec, least);
  t.same(reading(parseHttpRoute, route({ rules: [{ matches: [] }] })).object?.spec, least);
  const parent = reading(parseHttpRoute, route({ parentRefs: [{ name: 'g' }] })).object?.spec.parentRefs[0];
  t.match(parent, { group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: '', port: null });
});

t.test('of header names that differ in case only the first counts', async (t) => {
  const headers = [
    { name: 'X-User', value: 'jo' },
    { name: 'x-user', value: 'al' },
  ];
  const modifier = { type: 'RequestHeaderModifier', requestHeaderModifier: { set: headers, remove: ['a', 'A'] } };
  const { object } = reading(parseHttpRoute, withRule({ matches: [{ headers }], filters: [modifier] }));
  t.match(object?.spec.rules[0], {
    matches: [{ headers: [{ name: 'X-User', value: 'jo' }] }],
    filters: [{ modifier: { set: [{ name: 'X-User', value: 'jo' }], remove: ['a', 'A'] } }],
  });
  t.equal(object?.spec.rules[0]?.matches[0]?.headers.length, 1);
});

t.test('paths are held to the rules of HTTPPathMatch', async (t) => {
  const bad = ['a', '//', '/a/./b', '/a/../b', '/a%2fb', '/a%2Fb', '/a#b', '/a/..', '/a/.', '/a b', '/%zz', ''];
  t.same(
    bad.map((value) => lines(withMatch({ path: { value } })).map((line) => line.split(': ')[1])),
    [
      ["must be an absolute path and start with '/'"],
      ["must not contain '//'"],
      ["must not contain '/./'"],
      ["must not contain '/../'"],
      ["must not contain '%2f'"],
      ["must not contain '%2F'"],
      ["must not contain '#'", 'must only contain the characters that a path may have, others percent-encoded'],
      ["must not end with '/..' or '/.'"],
      ["must not end with '/..' or '/.'"],
      ['must only contain the characters that a path may have, others percent-encoded'],
      ['must only contain the characters that a path may have, others percent-encoded'],
      [
        "must be an absolute path and start with '/'",
        'must only contain the characters that a path may have, others percent-encoded',
      ],
    ],
  );
  const good = ['/', '/a%20b', "/a-_.~!$&'()*+,;=:@", '/..a', '/a/...'];
  t.same(
    good.flatMap((value) => lines(withMatch({ path: { value } }))),
    [],
  );
});

t.test('the bounds of Gateway API hold, and the values on them pass', async (t) => {
  const bounded: readonly (readonly [(count: number) => unknown, number])[] = [
    [(n) => route({ parentRefs: repeat(n, (i) => ({ name: `g${i}` })) }), 32],
    [(n) => route({ hostnames: repeat(n, (i) => `h${i}.example`) }), 16],
    [(n) => route({ rules: repeat(n, () => ({})) }), 16],
    [(n) => withRule({ matches: repeat(n, () => ({})) }), 64],
    [(n) => route({ rules: [64, 63, n].map((m) => ({ matches: repeat(m, () => ({})) })) }), 1],
    [(n) => withMatch({ headers: repeat(n, (i) => ({ name: `h${i}`, value: 'v' })) }), 16],
    [(n) => withMatch({ queryParams: repeat(n, (i) => ({ name: `q${i}`, value: 'v' })) }), 16],
    [(n) => withRule({ backendRefs: repeat(n, (i) => ({ name: `b${i}`, port: 80 })) }), 16],
    [
      (n) =>
        withRule({
          filters: repeat(n, () => ({
            type: 'RequestMirror',
            requestMirror: { backendRef: { name: 'copy', port: 80 } },
          })),
        }),
      16,
    ],
    [(n) => withRule({ backendRefs: [{ name: 'b', port: 80, weight: n }] }), 1_000_000],
    [(n) => withRule({ backendRefs: [{ name: 'b', port: n }] }), 65_535],
    [(n) => withMatch({ path: { value: `/${'a'.repeat(n - 1)}` } }), 1024],
    [(n) => withMatch({ headers: [{ name: 'a'.repeat(n), value: 'v' }] }), 256],
    [(n) => withMatch({ headers: [{ name: 'a', value: 'v'.repeat(n) }] }), 4096],
  ];
  t.same(
    bounded.map(([make, max]) => [lines(make(max)).length, lines(make(max + 1)).length]),
    bounded.map(() => [0, 1]),
  );
});

t.test('other mistakes are told with path and reason', async (t) => {
  const modifier = { type: 'RequestHeaderModifier', requestHeaderModifier: {} };
  t.same(
    [
      lines(withRule({ backendRefs: [{ name: 'b' }] })),
      lines(withRule({ backendRefs: [{ name: 'b', kind: 'Bucket', group: 'x.example' }] })),
      lines(withRule({ timeouts: { request: '1s', backendRequest: '2s' } })),
      lines(withRule({ timeouts: { request: '0s', backendRequest: '2s' } })),
      lines(withRule({ timeouts: { request: '1.5s' } })),
      lines(withRule({ filters: [modifier, modifier] })),
      lines(withRule({ filters: [{ type: 'RequestHeaderModifier' }] })),
      lines(withRule({ filters: [{ ...modifier, urlRewrite: {} }] })),
      lines(withRule({ filters: [{ type: 'Rewrite' }] })),
      lines(withMatch({ path: { type: 'RegularExpression', value: '(?=a)' } })).map(beforeEngine),
      lines(withMatch({ headers: [{ type: 'RegularExpression', name: 'a', value: '(' }] })).map(beforeEngine),
      lines(
        withMatch({
          headers: [
            { name: 'a b', value: 'v' },
            { name: 'x', value: '' },
          ],
        }),
      ),
      lines(
        withMatch({
          headers: [
            { name: 'a', value: 'v' },
            { name: 'a', value: 'w' },
          ],
        }),
      ),
      lines(withMatch({ method: 'get' })),
      lines(withRule({ backendRef: [] })),
      lines(route({ parentRefs: [{ name: 'g' }, { name: 'g' }] })),
      lines(route({ hostnames: ['10.0.0.1:80'] })),
      lines(route({ rules: [{ name: 'a' }, { name: 'a' }] })),
      lines(route({ rules: [] })),
    ],
    [
      ['spec.rules[0].backendRefs[0]: a reference to a Service must have a port'],
      [],
      ['spec.rules[0].timeouts.backendRequest: backendRequest must not be longer than request'],
      [],
      [
        'spec.rules[0].timeouts.request: is no duration: the string "1.5s" (write a duration such as 500ms, 10s or 1h30m)',
      ],
      ['spec.rules[0].filters[1]: the filter RequestHeaderModifier must not be repeated (join the two)'],
      ['spec.rules[0].filters[0]: requestHeaderModifier must be given for the filter type RequestHeaderModifier'],
      ['spec.rules[0].filters[0]: urlRewrite must not be given unless the filter type is URLRewrite'],
      [
        'spec.rules[0].filters[0].type: must be RequestHeaderModifier, ResponseHeaderModifier, RequestMirror, ExtensionRef, RequestRedirect, URLRewrite or CORS, is the string "Rewrite"',
      ],
      ['spec.rules[0].matches[0].path.value: is no regular expression that can be matched in linear time'],
      ['spec.rules[0].matches[0].headers[0].value: is no regular expression that can be matched in linear time'],
      [
        'spec.rules[0].matches[0].headers[0].name: "a b" is not valid here (write a header name such as x-user-id)',
        'spec.rules[0].matches[0].headers[1].value: is empty',
      ],
      ['spec.rules[0].matches[0].headers[1]: is the same as spec.rules[0].matches[0].headers[0] (remove one of them)'],
      [
        'spec.rules[0].matches[0].method: must be GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE or PATCH, is the string "get"',
      ],
      ["spec.rules[0].backendRef: is an unknown field (did you mean 'backendRefs'?)"],
      ['spec.parentRefs[1]: is the same as spec.parentRefs[0] (remove one of them)'],
      ['spec.hostnames[0]: "10.0.0.1:80" is not valid here (write a host name such as shop.example or *.shop.example)'],
      ['spec.rules: two rules have the same name'],
      ['spec.rules: has 0 items, must have 1 to 16'],
    ],
  );
});

const redirect = (requestRedirect: object): object => ({ type: 'RequestRedirect', requestRedirect });
const rewrite = (urlRewrite: object): object => ({ type: 'URLRewrite', urlRewrite });

t.test('a redirect has the defaults of Gateway API, and what cannot stand together is refused', async (t) => {
  const prefix = { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '' } };
  const { object } = reading(parseHttpRoute, withRule({ filters: [redirect({})] }));
  t.same(object?.spec.rules[0]?.filters, [
    { type: 'RequestRedirect', redirect: { scheme: '', hostname: '', path: null, port: null, status: 302 } },
  ]);
  const alone = { matches: [{ path: { value: '/a' } }], filters: [rewrite(prefix)] };
  t.same(lines(withRule(alone)), []);
  t.same(lines(withRule({ filters: [redirect(prefix)] })), [], 'a rule without matches has one by prefix');
  t.same(
    [
      withRule({ filters: [redirect({}), rewrite({})] }),
      withRule({ filters: [redirect({})], backendRefs: [{ name: 'b', port: 80 }] }),
      withRule({ ...alone, matches: [{ path: { value: '/a' } }, { path: { value: '/b' } }] }),
      withRule({ ...alone, matches: [{ path: { type: 'Exact', value: '/a' } }] }),
      withRule({ filters: [redirect({ path: { type: 'ReplaceFullPath', replacePrefixMatch: '/' } })] }),
      withRule({ filters: [redirect({ scheme: 'ftp', statusCode: 300, port: 0, hostname: '*.a' })] }),
    ].map(lines),
    [
      [
        'spec.rules[0].filters: RequestRedirect and URLRewrite must not stand together (a redirect has path and hostname too)',
      ],
      ['spec.rules[0].filters: RequestRedirect must not be used together with backendRefs'],
      ['spec.rules[0].matches: replacePrefixMatch needs exactly one match in its rule, and that by PathPrefix'],
      ['spec.rules[0].matches: replacePrefixMatch needs exactly one match in its rule, and that by PathPrefix'],
      [
        'spec.rules[0].filters[0].requestRedirect.path: replaceFullPath must be given for the type ReplaceFullPath, and only for it',
        'spec.rules[0].filters[0].requestRedirect.path: replacePrefixMatch must be given for the type ReplacePrefixMatch, and only for it',
      ],
      [
        'spec.rules[0].filters[0].requestRedirect.scheme: must be http or https, is the string "ftp"',
        'spec.rules[0].filters[0].requestRedirect.hostname: "*.a" is not valid here (use lower-case letters, digits, dashes and dots, such as reviews-v2)',
        'spec.rules[0].filters[0].requestRedirect.port: is 0, must be 1 to 65535',
        'spec.rules[0].filters[0].requestRedirect.statusCode: must be one of 301, 302, 303, 307, 308',
      ],
    ],
  );
});
