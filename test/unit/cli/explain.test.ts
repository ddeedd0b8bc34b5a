/** `tulle explain`: what is said of a request is what the sidecar's own code decides, and names the line that decided it. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { explain, type Explanation } from '../../../cli/explain/explain.ts';
import { readRequest } from '../../../cli/explain/request.ts';
import { explanationText } from '../../../cli/explain/text.ts';
import { worldOf } from '../../support/manifests.ts';

const ROOT = join(import.meta.dirname, '../../..');
const MESH = `
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: shop }
spec:
  selector: { app: reviews }
  ports: [{ name: http, port: 80, appProtocol: http }]
---
apiVersion: v1
kind: Pod
metadata: { name: reviews-0, namespace: shop, labels: { app: reviews } }
spec: { containers: [{ name: app, image: app }] }
status: { podIP: 10.0.0.7, podIPs: [{ ip: 10.0.0.7 }], conditions: [{ type: Ready, status: 'True' }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: reviews }]
  rules:
    - name: beta
      matches: [{ path: { value: /api }, headers: [{ name: x-beta, value: 'yes' }] }]
      backendRefs: [{ name: reviews, port: 80 }]
    - name: write
      matches: [{ path: { value: /api }, method: POST }]
      backendRefs: [{ name: reviews, port: 80 }]
    - name: api
      matches: [{ path: { value: /api } }]
      timeouts: { request: 2s }
      backendRefs: [{ name: reviews, port: 80 }]
---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: calm, namespace: shop }
spec:
  targetRefs: [{ group: '', kind: Service, name: reviews }]
  timeouts: { request: 9s, connect: 300ms }
  retries:
    attempts: 1
    retryOn: [gateway-error]
`;

function told(method: string, url: string, headers: readonly string[] = []): Explanation {
  const asked = readRequest(method, url, headers);
  if (typeof asked === 'string') throw new Error(asked);
  const result = explain(worldOf(MESH, 'mesh.yaml'), 'cluster.local', { namespace: 'shop', workload: '' }, asked);
  if (typeof result === 'string') throw new Error(result);
  return result;
}

function whys({ routes }: Explanation): readonly (readonly string[])[] {
  return routes.map(({ name, chosen, why }) => [name, chosen ? 'chosen' : why]);
}

function find(settings: Explanation['policy'], path: string): unknown {
  const { value, setBy, place } = settings.find((setting) => setting.path === path)!;
  return [value, setBy, place?.file, place?.line];
}

t.test('the route that is chosen, and the condition that each other one failed', async (t) => {
  t.same(whys(told('GET', 'http://reviews.shop/api/1', ['X-Beta: no'])), [
    ['shop/reviews/write', 'wants method = "POST", got "GET"'],
    ['shop/reviews/beta', 'wants header x-beta = "yes", got "no"'],
    ['shop/reviews/api', 'chosen'],
  ]);
  t.same(whys(told('POST', 'reviews/api', ['x-beta: yes'])).slice(0, 2), [
    ['shop/reviews/write', 'chosen'],
    ['shop/reviews/beta', 'would match, but a route before it has the precedence'],
  ]);
  t.same(whys(told('GET', 'reviews/other')), [
    ['shop/reviews/write', 'wants a path at or below /api'],
    ['shop/reviews/beta', 'wants a path at or below /api'],
    ['shop/reviews/api', 'wants a path at or below /api'],
  ]);
  t.match(explanationText(told('GET', 'reviews/other'), String), /no route matches: answered 404, no-route/);
});

t.test('each policy field names the object and the line that set it', async (t) => {
  const { policy, backends } = told('GET', 'reviews/api');
  t.same(find(policy, 'spec.timeouts.request'), [2000, 'HTTPRoute shop/reviews', 'mesh.yaml', 29]);
  t.same(find(policy, 'spec.retries.attempts'), [1, 'TrafficPolicy shop/calm', 'mesh.yaml', 39]);
  t.same(find(policy, 'spec.timeouts.idle'), [null, '', undefined, undefined]);
  t.same(find(backends[0]!.policy, 'spec.timeouts.connect'), [300, 'TrafficPolicy shop/calm', 'mesh.yaml', 37]);
});

t.test('backends with their endpoints, waits and answers to failures', async (t) => {
  const { backends, waits, failures } = told('GET', 'reviews/api');
  t.same(
    backends.map(({ percent, endpoints }) => [percent, endpoints.map(({ address, mtls }) => [address, mtls])]),
    [[100, [['10.0.0.7', false]]]],
  );
  t.same(waits, [{ retry: 1, fromMs: 0, toMs: 25 }]);
  const answer = (when: string): unknown => failures.find((line) => line.when === when);
  t.match(answer('the application answers 503'), { retried: 'yes', status: 503, reason: '' });
  t.match(answer('the application answers 500'), { retried: 'no: condition' });
  t.match(answer('the request takes too long'), { status: 504, reason: 'request-timeout', grpcStatus: -1 });
  const grpc = told('POST', 'reviews/api', ['content-type: application/grpc']).failures[0];
  t.match(grpc, { status: 200, reason: 'no-healthy-endpoint', grpcStatus: 14 });
});

t.test('the text says all of it', async (t) => {
  const text = explanationText(told('GET', 'reviews/api'), (file) => file);
  t.match(text, /-> shop\/reviews\/api\n/);
  t.match(text, /timeouts\.request +2s +HTTPRoute shop\/reviews \(mesh\.yaml:29\)/);
  t.match(text, /10\.0\.0\.7:80 +shop\/reviews-0 +ready/);
});

t.test('what cannot be asked for is refused with advice', async (t) => {
  t.equal(readRequest('GET', 'ftp://x', []), 'ftp://x is no URL of a Service (write http://reviews.shop:8080/path)');
  t.equal(readRequest('get', 'x', []), 'get is no method (write GET, POST, ...)');
  t.equal(readRequest('GET', 'x', ['odd']), "odd is no header (write 'x-user: 42')");
  t.throws(() => told('GET', 'nobody.shop/'), {
    message: /^seen from namespace shop, no Service has .* nobody\.shop:80; there are reviews\.shop:80/,
  });
});

t.test('as a user runs it, on the shop', async (t) => {
  const words = ['explain', 'GET', 'http://reviews:8080/1', '-f', 'examples/shop', '--from', 'shop'];
  const run = promisify(execFile);
  const options = { cwd: ROOT };
  const { stdout } = await run(process.execPath, ['cli/main.ts', ...words], options);
  t.match(stdout, /timeouts\.perTry +3s +TrafficPolicy shop\/reviews \(examples\/shop\/reviews-policy\.yaml:14\)/);
  const json = await run(process.execPath, ['cli/main.ts', ...words, '-o', 'json'], options);
  t.match(JSON.parse(json.stdout), { destination: 'reviews.shop.svc.cluster.local:8080' });
  const nowhere = run(process.execPath, ['cli/main.ts', 'explain', 'GET', 'x', '-f', 'none'], options);
  await t.rejects(nowhere, { code: 1, stderr: 'none does not exist\n' });
});
