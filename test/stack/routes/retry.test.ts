/**
 * `retry` of HTTPRoute (GEP-1731) through a real control plane and a real sidecar: the rules of the suite's HTTPRouteRetry, HTTPRouteRetryConnectionError
 * and HTTPRouteRetryWithTimeouts, and what precedence makes of a TrafficPolicy beside it.
 */
import t from 'tap';
import { systemClock } from '#base/clock.ts';
import { routedApp } from '../../support/routed-app.ts';

const BACKEND = 'backendRefs: [{ name: app, port: 80 }]';

const RULES = `
    - { matches: [{ path: { value: /code-500-attempts-3 } }], retry: { codes: [500], attempts: 3, backoff: 1ms }, ${BACKEND} }
    - { matches: [{ path: { value: /code-all-attempts-2 } }], retry: { codes: [500, 502, 503, 504], attempts: 2, backoff: 1ms }, ${BACKEND} }
    - { matches: [{ path: { value: /no-status-code-attempts-3 } }], retry: { attempts: 3, backoff: 1ms }, ${BACKEND} }
    - { matches: [{ path: { value: /backend-request-timeout } }], retry: { attempts: 2, backoff: 1ms }, timeouts: { backendRequest: 200ms }, ${BACKEND} }
    - { matches: [{ path: { value: /request-timeout } }], retry: { codes: [500], attempts: 5, backoff: 1ms }, timeouts: { backendRequest: 200ms, request: 400ms }, ${BACKEND} }
    - { matches: [{ path: { value: /backoff } }], retry: { codes: [503], attempts: 2, backoff: 150ms }, ${BACKEND} }
    - { matches: [{ path: { value: /never } }], retry: { codes: [503], attempts: 0 }, ${BACKEND} }
    - { matches: [{ path: { value: /plain } }], ${BACKEND} }
`;

const POLICY = `
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: app, namespace: default }
spec:
  targetRefs: [{ group: "", kind: Service, name: app }]
  retries: { attempts: 1, retryOn: [5xx], methods: [GET, POST], backoff: { base: 1ms, max: 5ms }, budget: { percent: 100, minPerSecond: 1000 } }
`;

t.setTimeout(30_000);

t.test('a rule is tried again as it says', async (t) => {
  let tries: number[] = [];
  /** The first so many tries end so; the next one is answered 200. */
  let failing = { times: 0, how: '' };
  const app = await routedApp(
    t,
    RULES,
    (req, res) => {
      tries.push(systemClock.now());
      if (tries.length > failing.times) res.end('good');
      else if (failing.how === 'reset') req.socket.resetAndDestroy();
      else if (failing.how === 'slow') req.on('close', () => res.destroy());
      else res.writeHead(Number(failing.how)).end();
    },
    POLICY,
  );
  const ask = async (path: string, times: number, how: string, method = 'GET'): Promise<[number, number]> => {
    tries = [];
    failing = { times, how };
    const { status } = await app.ask(method, path);
    return [status, tries.length];
  };
  t.same(await ask('/code-500-attempts-3', 3, '500'), [200, 4]);
  t.same(await ask('/code-500-attempts-3', 4, '500'), [500, 4], 'the last answer goes down');
  t.same(await ask('/code-500-attempts-3', 1, '503'), [503, 1], 'a code that is not named');
  for (const code of ['500', '502', '503', '504']) t.same(await ask('/code-all-attempts-2', 2, code), [200, 3], code);
  t.same(await ask('/no-status-code-attempts-3', 3, 'reset'), [200, 4], 'connections that fail, without any code');
  t.same(await ask('/no-status-code-attempts-3', 1, '503'), [503, 1]);
  t.same(await ask('/backend-request-timeout', 2, 'slow'), [200, 3], 'a try that takes too long');
  t.same(await ask('/request-timeout', 9, 'slow'), [504, 2], 'the request as a whole ends first');
  t.same(await ask('/code-500-attempts-3', 1, '500', 'POST'), [200, 2], 'methods are those of the policy');
  t.same(await ask('/code-500-attempts-3', 1, '500', 'PUT'), [500, 1]);
  t.same(await ask('/never', 1, '503'), [503, 1]);
  t.same(await ask('/plain', 2, '503'), [503, 2], 'a rule without retry does as the policy says');
  t.same(await ask('/backoff', 2, '503'), [200, 3]);
  const waits = tries.slice(1).map((at, i) => at - (tries[i] ?? 0));
  t.ok(
    waits.every((ms) => ms >= 149),
    `no retry comes before the backoff is over: ${waits.join(', ')}`,
  );
});

t.test('without a policy only idempotent methods are tried again', async (t) => {
  let tries = 0;
  const rules = `[{ retry: { codes: [503], attempts: 1, backoff: 1ms }, ${BACKEND} }]`;
  const app = await routedApp(t, rules, (_, res) => res.writeHead(tries++ > 0 ? 200 : 503).end());
  t.equal((await app.ask('POST', '/')).status, 503, 'RFC 9110 9.2.2');
  tries = 0;
  t.equal((await app.ask('PUT', '/')).status, 200);
});
