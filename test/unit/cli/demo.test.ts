/** What the demo makes of the sidecars' counters, and how it says it. No mesh here. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { systemClock } from '#base/clock.ts';
import { HopCounter, quantileMs, since } from '../../../cli/demo/hops.ts';
import { Load } from '../../../cli/demo/load.ts';
import { drawPicture, percent } from '../../../cli/demo/picture.ts';
import { parseSamples } from '../../../cli/demo/prometheus.ts';
import { drawSummary } from '../../../cli/demo/summary.ts';
import { worldOf } from '../../support/manifests.ts';

const LABELS = (destination: string, more = ''): string =>
  `direction="outbound",source_workload="frontend",destination_service="${destination}",destination_workload="${destination}",connection_security="mutual_tls",peer="spiffe://cluster.local/ns/shop/sa/${destination}"${more}`;

const METRICS = (v1: number, v2: number, failed: number): string => `# HELP tulle_requests_total x
tulle_requests_total{${LABELS('reviews-v1', ',response_code="200"')}} ${v1}
tulle_requests_total{${LABELS('reviews-v1', ',response_code="503"')}} ${failed}
tulle_requests_total{${LABELS('reviews-v2', ',response_code="200"')}} ${v2}
tulle_requests_total{direction="inbound",source_workload="frontend",destination_workload="x",response_code="200"} 999
tulle_retries_total{${LABELS('reviews-v1')}} 3
tulle_request_duration_seconds_bucket{${LABELS('reviews-v1', ',le="0.001"')}} ${v1 / 2}
tulle_request_duration_seconds_bucket{${LABELS('reviews-v1', ',le="0.002"')}} ${v1}
tulle_request_duration_seconds_bucket{${LABELS('reviews-v1', ',le="+Inf"')}} ${v1}
other_total{a="b"} 1
`;

function counted(...texts: string[]): HopCounter {
  const counter = new HopCounter();
  for (const text of texts) counter.observe('frontend-1', parseSamples(text, ['tulle_']));
  return counter;
}

t.test('reads samples with labels as they may be written', async (t) => {
  t.same(
    parseSamples('a_total{x="1,2",y="say \\"hi\\"\\n"} 3\na_sum 1e3\nb 1\n# a_ comment\na_bucket{le="+Inf"} +Inf\n', [
      'a_',
    ]),
    [
      { name: 'a_total', labels: { x: '1,2', y: 'say "hi"\n' }, value: 3 },
      { name: 'a_sum', labels: {}, value: 1000 },
      { name: 'a_bucket', labels: { le: '+Inf' }, value: Infinity },
    ],
  );
});

t.test('counts calls once, at their source, and goes on counting when a sidecar begins again from zero', async (t) => {
  const counter = counted(METRICS(100, 50, 2));
  const before = counter.totals();
  counter.observe('frontend-1', parseSamples(METRICS(160, 60, 2), ['tulle_']));
  counter.observe('frontend-1', parseSamples(METRICS(10, 5, 0), ['tulle_']));
  counter.observe('frontend-2', parseSamples(METRICS(1, 0, 0), ['tulle_']));
  t.same(
    since(before, counter.totals()).map(({ source, destination, requests, failures, secured }) => [
      source,
      destination,
      requests,
      failures,
      secured,
    ]),
    [
      ['frontend', 'reviews-v1', 71, 0, 71],
      ['frontend', 'reviews-v2', 15, 0, 15],
    ],
  );
});

t.test('takes quantiles within buckets as Prometheus does', async (t) => {
  const buckets = new Map([
    [Infinity, 100],
    [0.001, 50],
    [0.002, 90],
  ]);
  t.same(
    [0.25, 0.5, 0.7, 0.99].map((q) => quantileMs(buckets, q)),
    [0.5, 1, 1.5, 2],
  );
  t.same([quantileMs(new Map(), 0.5), quantileMs(new Map([[0.001, 0]]), 0.5)], [null, null]);
});

t.test('draws a row for each hop, and never calls a failure 100 %', async (t) => {
  const hops = since(new Map(), counted(METRICS(100, 50, 2)).totals());
  const lines = drawPicture({
    title: 'title',
    load: { rps: 200, sent: 1000, failed: 0, reconnects: 1, p50Ms: 3.21, p99Ms: 45.6 },
    hops,
    windowMs: 2000,
    replicas: { ready: 9, all: 10 },
  });
  t.same(lines, [
    'title',
    'load: 200 requests/s, 1000 sent, 0 failed, 1 reconnects, p50 3.2ms, p99 46ms; replicas: 9 of 10 ready',
    '',
    'from      to           rps  success    p50    p99  retries  mTLS  identity of the peer',
    'frontend  reviews-v1  51.0    98.0%  1.0ms  2.0ms        3  yes   spiffe://cluster.local/ns/shop/sa/reviews-v1',
    'frontend  reviews-v2  25.0     100%      -      -        0  yes   spiffe://cluster.local/ns/shop/sa/reviews-v2',
  ]);
  t.same([percent(99_999_999, 100_000_000), percent(1, 3), percent(0, 0)], ['99.99%', '33.3%', '-']);
});

t.test('sums up with the split that was asked for', async (t) => {
  const world = worldOf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: reviews, port: 8080 }]
  rules: [{ backendRefs: [{ name: reviews-v1, port: 8080, weight: 4 }, { name: reviews-v2, port: 8080, weight: 1 }] }]
`);
  const hops = since(new Map(), counted(METRICS(80, 20, 0)).totals());
  const load = { sent: 100, succeeded: 98, failed: 2, reconnects: 0, reasons: new Map([['status 502', 2]]) };
  const lines = drawSummary({
    load,
    p50Ms: 1,
    p99Ms: 2,
    elapsedMs: 10_000,
    hops,
    recentHops: hops,
    routes: [...world.httpRoutes.values()],
    scene: {
      flaky: 'reviews-v1',
      before: since(new Map(), counted(METRICS(8, 2, 2)).totals()),
      after: hops,
    },
  });
  t.same(
    lines.filter((line) => /^(requests|failed|split|policy|mTLS)/.test(line)),
    [
      'requests: 100 in 10.0 s, 2 failed, 0 reconnects',
      'failed 2 times: status 502',
      'split reviews: reviews-v1 80.0%, reviews-v2 20.0% (asked for 80/20)',
      'policy: calls to reviews-v1 succeeded 80.0% before it, 100% after it (with 3 retries)',
      'mTLS: every one of 2 hops, each peer with the identity of its service account',
    ],
  );
});

t.test('brings a refused connection to another replica, and counts what no replica took', async (t) => {
  const server = http.createServer((request, response) => {
    const code = request.url === '/bad' ? 500 : 200;
    response.writeHead(code).end('x');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  // Nobody listens on port 1 of a loopback address of our own.
  const targets = [
    { address: '127.0.0.2', port: 1 },
    { address: '127.0.0.1', port },
  ];
  const run = async (paths: string[], reachable: typeof targets) => {
    const load = new Load({ clock: systemClock, rps: 500, host: 'front', paths, targets: () => reachable });
    load.start();
    while (load.totals.sent < 20) await new Promise((resolve) => setTimeout(resolve, 5));
    await load.stop();
    return load.totals;
  };
  const mixed = await run(['/'], targets);
  t.same([mixed.failed, mixed.succeeded], [0, mixed.sent]);
  t.ok(mixed.reconnects > 0);
  const bad = await run(['/bad'], targets.slice(1));
  t.same([bad.failed, [...bad.reasons.keys()]], [bad.sent, ['status 500: x']]);
  const none = await run(['/'], []);
  t.same([none.failed, [...none.reasons.keys()]], [none.sent, ['no replica is ready']]);
  server.close();
});
