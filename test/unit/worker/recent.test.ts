/** What a worker remembers of its exchanges, and for how long. */
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import { Exchange } from '../../../proxy/exchange/exchange.ts';
import { HeaderList } from '../../../proxy/http/headers.ts';
import { NO_BODY, RequestHead } from '../../../proxy/http/message.ts';
import { RecentExchanges } from '../../../proxy/worker/recent.ts';

const peer = { direction: 'outbound', address: '127.0.0.1:1', identity: '', clientCert: '' } as const;

function exchange(requestId: string, status: number, startMs: number): Exchange {
  const head = new RequestHead('GET', '/', 'http', 'a', 11, new HeaderList(), NO_BODY, true, false, '', false);
  const x = new Exchange(peer, head, startMs);
  x.requestId = requestId;
  x.status = status;
  x.durationMs = 0;
  return x;
}

/** Adds `count`, each `everyMs` after the one before. */
function fill(recent: RecentExchanges, word: string, status: number, count: number, everyMs: number): void {
  for (let i = 0; i < count; i++) recent.add(exchange(`${word}-${i}`, status, i * everyMs));
}

t.test('ordinary exchanges push each other out, and none that went wrong', async (t) => {
  const recent = new RecentExchanges(new FakeClock());
  recent.add(exchange('bad', 503, 0));
  fill(recent, 'good', 200, 300, 10);
  t.equal(recent.find('bad').length, 1);
  t.equal(recent.find('good-299').length, 1);
  t.equal(recent.find('good-43').length, 0, 'the last 256');
  t.equal(recent.find('good-44').length, 1);
  t.same(
    recent.find('').map(({ requestId }) => requestId),
    ['bad'],
  );
});

t.test('of a crowd in one moment a few are remembered, so that the crowd costs nothing', async (t) => {
  const recent = new RecentExchanges(new FakeClock());
  fill(recent, 'good', 200, 1000, 0.1);
  const kept = Array.from({ length: 1000 }, (_, i) => recent.find(`good-${i}`).length).filter((n) => n > 0);
  t.equal(kept.length, 20, '100 ms, one in five');
});

t.test('a trace id finds every exchange of its trace, in the order in which they began', async (t) => {
  const recent = new RecentExchanges(new FakeClock());
  // The outer one begins first and ends last.
  for (const [id, startMs, durationMs] of [
    ['inner', 20, 10],
    ['outer', 10, 40],
    ['other', 90, 5],
  ] as const) {
    const x = exchange(id, 200, startMs);
    x.durationMs = durationMs;
    x.traceId = id === 'other' ? 'def' : 'abc';
    recent.add(x);
  }
  t.same(
    recent.find('abc').map(({ requestId }) => requestId),
    ['outer', 'inner'],
  );
});

t.test('what one would ask about is notable: failures, errors, tries, delays, slow answers', async (t) => {
  const changes: readonly Partial<Exchange>[] = [
    { failure: { kind: 'connect-failure', side: 'upstream', sent: 'nothing', detail: '' } },
    { status: 500 },
    { grpcStatus: 14 },
    { attempts: 2 },
    { delayed: true },
    { headMs: 1001 },
  ];
  for (const change of changes) {
    const recent = new RecentExchanges(new FakeClock());
    recent.add(Object.assign(exchange('x', 200, 0), change));
    t.equal(recent.find('').length, 1, Object.keys(change).join(' '));
  }
});

t.test('of a large head only the facts are kept, and its long texts are cut', async (t) => {
  const recent = new RecentExchanges(new FakeClock());
  const x = exchange('large', 400, 0);
  x.request.path = `/${'p'.repeat(30_000)}`;
  recent.add(x);
  const [facts] = recent.find('large');
  t.equal(facts?.status, 400);
  t.ok(facts!.path.length < 1100, `${facts!.path.length} characters`);
  const long = exchange('i'.repeat(20_000), 400, 10);
  long.request.headers.add('x-request-id', long.requestId);
  recent.add(long);
  t.ok(recent.find(long.requestId)[0]!.requestId.length < 1100, 'found by the whole of it');
  x.status = 500;
  t.equal(recent.find('large')[0]?.status, 400, 'a copy');
});
