/** What the fleet keeps about its workers: who uses a destination, which row of the shared counts a cluster has, and metrics joined. */
import t from 'tap';
import { SharedTally } from '#base/tally.ts';
import { Findings } from '../../../proxy/supervisor/workers/findings.ts';
import { Rows } from '../../../proxy/supervisor/workers/rows.ts';
import { Usage } from '../../../proxy/supervisor/workers/usage.ts';
import { allocateCounts, forgetWorker, MAX_SHARED_CLUSTERS, sharedCounts } from '../../../proxy/exchange/pod-counts.ts';
import { JoinedMetrics } from '../../../proxy/telemetry/joined.ts';
import { MetricRegistry, type SeriesObserver } from '../../../proxy/telemetry/metrics.ts';
import { renderPrometheus } from '../../../proxy/telemetry/prometheus.ts';
import { cluster } from '../../support/worker.ts';

function named(...names: string[]) {
  return { clusters: new Map(names.map((name) => [name, cluster(name, [])])) };
}

t.test('a destination is let go when no worker has used it for a while', async (t) => {
  const usage = new Usage();
  usage.want('a:80', 0);
  usage.want('a:80', 1);
  t.equal(usage.idle('a:80', 0, 0), false, 'the other has said nothing');
  t.equal(usage.idle('a:80', 1, 10_000), true);
  t.equal(usage.idle('a:80', 1, 40_000), false, 'the first has fallen silent: it uses it again');
  t.equal(usage.idle('a:80', 0, 41_000), true);
  usage.want('b:80', 0);
  t.same(usage.forget(0), ['b:80'], 'only the one that died used it');
  t.same(usage.forget(1), ['a:80']);
});

const found = (cluster: string, endpoint: string, why: string) => ({ kind: 'health', cluster, endpoint, why }) as const;

t.test('of health checks it keeps who fails, as long as the cluster is there', async (t) => {
  const findings = new Findings();
  for (const finding of [found('a', 'x', 'status 500'), found('a', 'y', 'reset'), found('b', 'x', 'reset')]) {
    findings.note(finding);
  }
  findings.note(found('a', 'x', 'status 503'));
  findings.note(found('a', 'y', ''));
  t.same(findings.all(), [found('a', 'x', 'status 503'), found('b', 'x', 'reset')]);
  findings.forget({ clusters: new Map([['b', null]]) });
  findings.forget(named('a'));
  t.same(findings.all(), [found('a', 'x', 'status 503')]);
});

t.test('a cluster keeps its row, and one that comes back gets it again', async (t) => {
  const rows = new Rows();
  t.same(
    [...rows.of(named('a', 'b'))],
    [
      ['a', 0],
      ['b', 1],
    ],
  );
  t.same([...rows.of({ clusters: new Map([['a', null]]) })], []);
  t.same([...rows.of(named('c'))], [['c', 2]], 'streams of the one that is gone may be counted yet');
  t.same([...rows.of(named('a'))], [['a', 0]]);
});

t.test('when rows run out, those of clusters that are gone are taken, oldest first; then there are none', async (t) => {
  const rows = new Rows();
  const all = Array.from({ length: MAX_SHARED_CLUSTERS }, (_, i) => [`c${i}`, cluster(`c${i}`, [])] as const);
  t.equal(rows.of({ clusters: new Map(all) }).size, MAX_SHARED_CLUSTERS);
  const more = { clusters: new Map([['more', cluster('more', [])]]) };
  t.equal(rows.of(more).size, 0);
  rows.of({ clusters: new Map([['c7', null]]) });
  t.same([...rows.of(more)], [['more', 7]]);
});

t.test('workers take from one limit, and a dead one gives back what it had', async (t) => {
  const memory = allocateCounts(2);
  const [first, second] = [sharedCounts(memory, 3, 2, 0), sharedCounts(memory, 3, 2, 1)];
  const other = sharedCounts(memory, 4, 2, 0);
  t.same(
    [first, second, first, second].map(({ requests }) => requests.take(3)),
    [true, true, true, false],
  );
  t.same([first.requests.total, second.requests.total, other.requests.total, first.pending.total], [3, 3, 0, 0]);
  forgetWorker(memory, 2, 0);
  t.equal(second.requests.total, 1);
  t.equal(second.requests.take(2), true);
});

t.test('a tally never lets in more than its limit, whoever adds', async (t) => {
  const cells = new Int32Array(new SharedArrayBuffer(8));
  const tallies = [new SharedTally(cells, 0, 2, 0), new SharedTally(cells, 0, 2, 1)];
  for (let i = 0; i < 10; i++) tallies[i % 2]!.take(4);
  t.equal(tallies[0]!.total, 4);
  tallies[1]!.add(-2);
  t.same([cells[0], cells[1]], [2, 0]);
});

t.test('series of all workers are added up; those of a dead one stay, but its gauges', async (t) => {
  const own = new MetricRegistry();
  own.counter('tulle_own_total', 'Own.').with().inc();
  const joined = new JoinedMetrics(own);
  const observer = (thread: number): SeriesObserver => ({
    onSeries: (family, bounds, labels, page, index) => joined.add(thread, { family, bounds, labels, page, index }),
  });
  const workers = [0, 1].map((thread) => {
    const registry = new MetricRegistry(10, undefined, observer(thread));
    return {
      requests: registry.counter('tulle_r_total', 'R.', ['code']),
      open: registry.gauge('tulle_open', 'O.'),
      times: registry.histogram('tulle_t_seconds', 'T.', [], [1, 2]),
    };
  });
  for (const { requests, open, times } of workers) {
    requests.with('200').add(2);
    open.with().set(5);
    times.with().observe(1.5);
  }
  workers[0]!.requests.with('503').inc();
  const shown = (): string[] =>
    renderPrometheus(joined)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('tulle_metrics'));
  t.same(shown(), [
    'tulle_own_total 1',
    'tulle_r_total{code="200"} 4',
    'tulle_r_total{code="503"} 1',
    'tulle_open 10',
    'tulle_t_seconds_bucket{le="1"} 0',
    'tulle_t_seconds_bucket{le="2"} 2',
    'tulle_t_seconds_bucket{le="+Inf"} 2',
    'tulle_t_seconds_sum 3',
    'tulle_t_seconds_count 2',
  ]);
  joined.end(0);
  joined.end(0);
  t.match(shown().join('\n'), /code="200"\} 4\n.*code="503"\} 1\ntulle_open 5\n/);
  joined.end(1);
  t.notMatch(shown().join('\n'), 'tulle_open');
});
