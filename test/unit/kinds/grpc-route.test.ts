/** GRPCRoute and ReferenceGrant: defaults, bounds and rules of Gateway API v1. */
import t from 'tap';
import { parseGrpcRoute } from '../../../control-plane/kinds/grpc-route.ts';
import { parseReferenceGrant } from '../../../control-plane/kinds/reference-grant.ts';
import { parseObject } from '../../../control-plane/kinds/registry.ts';
import { Problems } from '#base/problems.ts';
import { reading } from './reading.ts';

const route = (spec: unknown): unknown => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'GRPCRoute',
  metadata: { name: 'reviews', namespace: 'shop' },
  spec,
});
const lines = (value: unknown): readonly string[] => reading(parseGrpcRoute, value).lines;
const withMethod = (method: object): unknown => route({ rules: [{ matches: [{ method }] }] });

t.test('a full GRPCRoute is read', async (t) => {
  const { object, lines } = reading(
    parseGrpcRoute,
    route({
      parentRefs: [{ group: '', kind: 'Service', name: 'reviews', port: 9000 }],
      hostnames: ['reviews.shop'],
      rules: [
        {
          name: 'get',
          matches: [
            { method: { service: 'shop.v1.Reviews', method: 'Get' }, headers: [{ name: 'X-User', value: 'jo' }] },
            { method: { type: 'RegularExpression', method: 'List.*' } },
          ],
          filters: [
            { type: 'RequestHeaderModifier', requestHeaderModifier: { remove: ['c'] } },
            { type: 'RequestMirror', requestMirror: { backendRef: { name: 'copy', port: 80 }, percent: 10 } },
          ],
          backendRefs: [{ name: 'reviews-v1', port: 9000, weight: 9 }],
        },
        { matches: [] },
      ],
    }),
  );
  t.same(lines, []);
  t.same(object?.spec.hostnames, ['reviews.shop']);
  t.same(object?.spec.rules, [
    {
      name: 'get',
      matches: [
        {
          method: { type: 'Exact', service: 'shop.v1.Reviews', method: 'Get' },
          headers: [{ type: 'Exact', name: 'X-User', value: 'jo' }],
        },
        { method: { type: 'RegularExpression', service: '', method: 'List.*' }, headers: [] },
      ],
      filters: [
        { type: 'RequestHeaderModifier', modifier: { set: [], add: [], remove: ['c'] } },
        {
          type: 'RequestMirror',
          mirror: {
            backendRef: { group: '', kind: 'Service', namespace: '', name: 'copy', port: 80, weight: 1 },
            percent: 10,
          },
        },
      ],
      backendRefs: [
        { group: '', kind: 'Service', namespace: '', name: 'reviews-v1', port: 9000, weight: 9, filters: [] },
      ],
      sessionPersistence: null,
    },
    { name: '', matches: [{ method: null, headers: [] }], filters: [], backendRefs: [], sessionPersistence: null },
  ]);
});

t.test('mistakes in a GRPCRoute are told with path and reason', async (t) => {
  t.same(
    [
      lines(withMethod({})),
      lines(withMethod({ service: 'shop/v1' })),
      lines(withMethod({ method: 'Get*' })),
      lines(withMethod({ type: 'RegularExpression', service: '(' })).map((line) => line.split(' (')[0]),
      lines(route({ rules: [{ filters: [{ type: 'URLRewrite' }] }] })),
      lines(route({ rules: [{ timeouts: {} }] })),
    ],
    [
      ['spec.rules[0].matches[0].method: one or both of service and method must be given'],
      ['spec.rules[0].matches[0].method.service: must be the name of a gRPC service, such as shop.v1.Reviews'],
      ['spec.rules[0].matches[0].method.method: must be the name of a gRPC method, such as GetReview'],
      ['spec.rules[0].matches[0].method.service: is no regular expression that can be matched in linear time'],
      [
        'spec.rules[0].filters[0].type: must be RequestHeaderModifier, ResponseHeaderModifier, RequestMirror or ExtensionRef, is the string "URLRewrite"',
      ],
      [
        'spec.rules[0].timeouts: is an unknown field (known here: name, matches, filters, backendRefs, sessionPersistence)',
      ],
    ],
  );
});

const grant = (version: string, spec: object): unknown => ({
  apiVersion: `gateway.networking.k8s.io/${version}`,
  kind: 'ReferenceGrant',
  metadata: { name: 'web', namespace: 'shop' },
  spec,
});

t.test('a ReferenceGrant is read in both of its versions', async (t) => {
  const spec = {
    from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'web' }],
    to: [{ group: '', kind: 'Service' }],
  };
  const outcome = (version: string): string => {
    const context = { problems: new Problems(), place: null, placeOf: () => null };
    return parseObject(grant(version, spec), context).outcome;
  };
  t.same(['v1', 'v1beta1', 'v1alpha2'].map(outcome), ['parsed', 'parsed', 'refused']);
  t.same(reading(parseReferenceGrant, grant('v1', spec)).object?.spec, {
    ...spec,
    to: [{ group: '', kind: 'Service', name: '' }],
  });
  t.same(reading(parseReferenceGrant, grant('v1', { from: [], to: [{ kind: 'Service' }] })).lines, [
    'spec.from: has 0 items, must have 1 to 16',
    'spec.to[0].group: is missing',
  ]);
});
