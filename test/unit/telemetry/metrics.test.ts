/** Counting, the Prometheus text, and the access log. */
import t from 'tap';
import { formatAccess, MAX_FIELD_LENGTH, type AccessRecord } from '../../../proxy/telemetry/access-log.ts';
import { CELLS_PER_PAGE } from '../../../proxy/telemetry/cells.ts';
import { MetricRegistry } from '../../../proxy/telemetry/metrics.ts';
import { renderPrometheus } from '../../../proxy/telemetry/prometheus.ts';

t.test('the text has help, type and every series, escaped', async (t) => {
  const registry = new MetricRegistry();
  const requests = registry.counter('tulle_requests_total', 'Requests,\nby \\ route.', ['route', 'code']);
  const open = registry.gauge('tulle_connections', 'Connections open now.');
  const durations = registry.histogram('tulle_seconds', 'Duration.', ['way'], [0.001, 0.5]);
  requests.with('a"b\\c\nd', '200').inc();
  requests.with('a"b\\c\nd', '200').add(2);
  requests.with('', '503').inc();
  open.with().set(7);
  open.with().dec();
  const out = durations.with('out');
  for (const seconds of [0.0005, 0.001, 0.002, 0.5, 0.6]) out.observe(seconds);
  t.equal(
    renderPrometheus(registry),
    [
      '# HELP tulle_metrics_series_dropped_total Times that a series was asked for beyond the bound of its family.',
      '# TYPE tulle_metrics_series_dropped_total counter',
      String.raw`# HELP tulle_requests_total Requests,\nby \\ route.`,
      '# TYPE tulle_requests_total counter',
      String.raw`tulle_requests_total{route="a\"b\\c\nd",code="200"} 3`,
      'tulle_requests_total{route="",code="503"} 1',
      '# HELP tulle_connections Connections open now.',
      '# TYPE tulle_connections gauge',
      'tulle_connections 6',
      '# HELP tulle_seconds Duration.',
      '# TYPE tulle_seconds histogram',
      'tulle_seconds_bucket{way="out",le="0.001"} 2',
      'tulle_seconds_bucket{way="out",le="0.5"} 4',
      'tulle_seconds_bucket{way="out",le="+Inf"} 5',
      'tulle_seconds_sum{way="out"} 1.1035',
      'tulle_seconds_count{way="out"} 5',
      '',
    ].join('\n'),
  );
});

t.test('beyond its bound a family counts under "other", and says so', async (t) => {
  const registry = new MetricRegistry(2);
  const family = registry.counter('tulle_x_total', 'X.', ['a', 'b']);
  for (const name of ['1', '2', '3', '4', '1']) family.with(name, 'b').inc();
  const lines = renderPrometheus(registry)
    .split('\n')
    .filter((line) => line.includes('{'));
  t.same(lines, [
    'tulle_metrics_series_dropped_total{metric="tulle_x_total"} 2',
    'tulle_x_total{a="1",b="b"} 2',
    'tulle_x_total{a="2",b="b"} 1',
    'tulle_x_total{a="other",b="other"} 2',
  ]);
});

t.test('series keep to their own cells over many pages', async (t) => {
  let pages = 0;
  const registry = new MetricRegistry(2000, () => {
    pages++;
    return new Float64Array(new SharedArrayBuffer(CELLS_PER_PAGE * 8));
  });
  const counters = registry.counter('tulle_c_total', 'C.', ['n']);
  const histograms = registry.histogram('tulle_h_seconds', 'H.', ['n']);
  for (let n = 0; n < 300; n++) {
    counters.with(String(n)).add(n);
    histograms.with(String(n)).observe(n);
  }
  t.ok(pages > 5);
  t.same(
    Array.from({ length: 300 }, (_, n) => [counters.with(String(n)).value, histograms.with(String(n)).sum]),
    Array.from({ length: 300 }, (_, n) => [n, n]),
  );
});

t.test('a quantile lies in the bucket of its sample', async (t) => {
  const histogram = new MetricRegistry().histogram('tulle_q_seconds', 'Q.').with();
  t.ok(Number.isNaN(histogram.quantile(0.5)));
  for (let i = 1; i <= 100; i++) histogram.observe(i / 1000);
  const [half, most] = [histogram.quantile(0.5), histogram.quantile(0.99)];
  t.ok(half > 0.025 && half <= 0.05 && most > 0.075 && most <= 0.1, `${half} ${most}`);
  histogram.observe(1000);
  t.equal(histogram.quantile(1), 60);
});

t.test('names that are wrong or taken, and the wrong number of labels, are mistakes of ours', async (t) => {
  const registry = new MetricRegistry();
  registry.counter('tulle_a_total', 'A.', ['x']);
  t.throws(() => registry.gauge('tulle_a_total', 'A.'), /defined twice/);
  t.throws(() => registry.gauge('tulle-a', 'A.'), /no valid metric/);
  t.throws(() => registry.gauge('tulle_b', 'B.', ['le']), /no valid metric/);
  t.throws(() => registry.counter('tulle_c_total', 'C.', ['x']).with(), /has 1 labels, not 0/);
});

const RECORD: AccessRecord = {
  startWallMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  direction: 'outbound',
  method: 'GET',
  path: '/a?b=c',
  authority: 'reviews:8080',
  protocol: 'HTTP/1.1',
  responseCode: 503,
  grpcStatus: null,
  responseFlags: 'UF',
  reason: 'connect-failure',
  fallback: '',
  durationMs: 1.23456,
  upstreamHost: '10.0.0.1:8080',
  upstreamCluster: 'reviews.shop.svc.cluster.local:8080',
  routeName: '',
  attempts: 3,
  bytesReceived: 0,
  bytesSent: 19,
  requestId: 'r',
  traceId: 't',
  spanId: 's',
  downstreamPeer: '',
  upstreamPeer: 'spiffe://d/ns/shop/sa/reviews',
  downstreamAddress: '127.0.0.1:5',
};

t.test('the access log is one line of JSON in the words of Envoy', async (t) => {
  const line = formatAccess(RECORD);
  t.ok(line.endsWith('}\n'));
  t.same(JSON.parse(line), {
    start_time: '2026-01-02T03:04:05.006Z',
    direction: 'outbound',
    method: 'GET',
    path: '/a?b=c',
    authority: 'reviews:8080',
    protocol: 'HTTP/1.1',
    response_code: 503,
    response_flags: 'UF',
    reason: 'connect-failure',
    duration_ms: 1.235,
    upstream_host: '10.0.0.1:8080',
    upstream_cluster: 'reviews.shop.svc.cluster.local:8080',
    attempts: 3,
    bytes_received: 0,
    bytes_sent: 19,
    request_id: 'r',
    trace_id: 't',
    span_id: 's',
    upstream_peer: 'spiffe://d/ns/shop/sa/reviews',
    downstream_address: '127.0.0.1:5',
  });
});

t.test('no request can forge a line or a terminal command, or make a line without end', async (t) => {
  const evil = '/"\n{"forged":1}\r\u001b[2J\u009b2J\u007f\u2028';
  const line = formatAccess({ ...RECORD, path: evil, authority: 'x'.repeat(100_000) });
  t.ok(line.length < 3 * MAX_FIELD_LENGTH);
  t.equal(line.search(/[\p{Cc}\u2028]/u), line.length - 1);
  t.equal((JSON.parse(line) as { path: string }).path, evil);
});
