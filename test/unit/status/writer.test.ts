/** Conditions as lines: what is wrong is told once, and that it is right again too. */
import t from 'tap';
import { compile } from '../../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS, type Compiled } from '../../../control-plane/compile/compiled.ts';
import { allConditions, formatConditions, troubleOf } from '../../../control-plane/status/writer.ts';
import { worldOf } from '../../support/manifests.ts';

const ROUTE = `
apiVersion: v1
kind: Service
metadata: { name: api, namespace: shop }
spec: { ports: [{ name: http, port: 80 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: api, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: api }]
  rules: [{ backendRefs: [{ name: v1, port: 80 }] }]
`;
const MENDED = ROUTE.replace('{ name: v1', '{ name: api');

function compiled(yaml: string, previous?: Compiled): Compiled {
  return compile(worldOf(yaml, 'shop.yaml'), DEFAULT_COMPILE_OPTIONS, previous);
}

t.test('only what changed is told, and what is in order only after trouble', async (t) => {
  const fine = compiled(MENDED);
  t.same(formatConditions(fine.conditions), [], 'nothing to say');

  const broken = compiled(ROUTE, fine);
  t.same(formatConditions(broken.conditions, fine.conditions), [
    {
      level: 'warn',
      text: 'shop.yaml:7:1: HTTPRoute shop/api on Service shop/api: ResolvedRefs=False BackendNotFound: Service shop/v1 does not exist',
      fields: {
        object: 'HTTPRoute shop/api',
        parent: 'Service shop/api',
        condition: 'ResolvedRefs',
        status: 'False',
        reason: 'BackendNotFound',
      },
    },
  ]);
  t.same(formatConditions(compiled(ROUTE, broken).conditions, broken.conditions), [], 'told already');
  const about = 'shop.yaml:7:1: HTTPRoute shop/api on Service shop/api:';
  const unresolved = `${about} ResolvedRefs=False BackendNotFound: Service shop/v1 does not exist`;
  t.same(troubleOf(broken.conditions), [unresolved]);
  t.same(allConditions(broken.conditions), [`${about} Accepted=True Accepted`, unresolved]);

  const mended = formatConditions(compiled(MENDED, broken).conditions, broken.conditions);
  t.same(
    mended.map(({ level, text }) => [level, text]),
    [['info', 'shop.yaml:7:1: HTTPRoute shop/api on Service shop/api: ResolvedRefs=True ResolvedRefs']],
  );
});

function policy(name: string): string {
  return `
---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: api }]
  timeouts: { request: 1s, idle: 1s }
`;
}

t.test('a condition that is no longer there is told as such', async (t) => {
  const alone = MENDED + policy('b');
  const both = compiled(MENDED + policy('a') + policy('b').replace(', idle: 1s', ''));
  const lines = formatConditions(both.conditions);
  t.match(
    lines.map(({ text }) => text),
    [/TrafficPolicy shop\/b on Service shop\/api: Accepted=False Conflicted/, /b on .*: Conflicted=True/],
  );
  const after = formatConditions(compiled(alone, both).conditions, both.conditions);
  t.match(
    after.map(({ level, text }) => `${level} ${text}`),
    [/^info .*Accepted=True/, /^info .*Conflicted is no longer True/],
  );
});
