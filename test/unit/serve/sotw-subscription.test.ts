/**
 * The state-of-the-world protocol, one type on one stream. Scenarios after the xDS test harness (ii/xds-test-harness), own code.
 */
import t from 'tap';
import { TYPE } from '#api/names.ts';
import type { ResourceType } from '#api/names.ts';
import { SotwSubscription } from '../../../control-plane/serve/sotw-subscription.ts';
import type { SotwAnswer, SotwDemand } from '../../../control-plane/serve/sotw-subscription.ts';
import type { Receipt } from '../../../control-plane/serve/subscription.ts';
import { FakeProvider } from '../../support/fake-provider.ts';

class Conversation {
  readonly provider: FakeProvider;
  readonly subscription: SotwSubscription;
  readonly type: ResourceType;
  last: SotwAnswer | null = null;
  nonce = 0;

  constructor(type: ResourceType, resources: Record<string, number> | FakeProvider = {}) {
    this.type = type;
    this.subscription = new SotwSubscription(type);
    this.provider = resources instanceof FakeProvider ? resources : new FakeProvider();
    if (!(resources instanceof FakeProvider))
      for (const [name, version] of Object.entries(resources)) this.set(name, version);
  }

  set(name: string, version: number): void {
    this.provider.set(this.type, name, version);
  }

  ask(names: readonly string[], more: Partial<SotwDemand> = {}): Receipt {
    return this.subscription.receive({ names, version: '', nonce: this.last?.nonce ?? '', error: null, ...more });
  }

  /** What is said now, each response acked with `names`. */
  said(names: readonly string[], error: string | null = null): string[] {
    const texts: string[] = [];
    for (const phase of ['update', 'removal'] as const) {
      for (;;) {
        const answer = this.subscription.next(phase, this.provider.lookup(this.type), String(++this.nonce));
        if (answer === null) break;
        this.last = answer;
        texts.push(answer.resources.map((r) => `${r.name}@${r.version}`).join(' '));
        this.ask(names, { version: answer.version, error });
      }
    }
    return texts;
  }
}

t.test('a wildcard gets everything in one response, at each change', async (t) => {
  const talk = new Conversation(TYPE.cluster, { A: 1, B: 1 });
  talk.ask([]);
  t.same(talk.said([]), ['A@v1 B@v1']);
  t.same(talk.said([]), []);
  talk.set('A', 2);
  t.same(talk.said([]), ['A@v2 B@v1']);
  talk.set('C', 1);
  t.same(talk.said([]), ['A@v2 B@v1 C@v1']);
});

t.test('what goes stays until the removals', async (t) => {
  const talk = new Conversation(TYPE.cluster, { A: 1, B: 1 });
  talk.ask([]);
  talk.said([]);
  talk.set('A', 0);
  t.same(talk.said([]), ['B@v1'], 'nothing to update, so only the removal is told');
  talk.set('B', 0);
  talk.set('C', 1);
  t.same(talk.said([]), ['B@v1 C@v1', 'C@v1']);
});

t.test('an empty state is an answer too', async (t) => {
  const talk = new Conversation(TYPE.listener);
  talk.ask([]);
  t.same(talk.said([]), ['']);
  const named = new Conversation(TYPE.listener);
  named.ask(['A']);
  t.same(named.said(['A']), ['']);
});

t.test('names of a whole type come together', async (t) => {
  const talk = new Conversation(TYPE.listener, { A: 1, B: 1, C: 1 });
  talk.ask(['A', 'C', 'X']);
  t.same(talk.said(['A', 'C', 'X']), ['A@v1 C@v1']);
  talk.set('B', 2);
  t.same(talk.said(['A', 'C', 'X']), []);
  talk.set('X', 2);
  t.same(talk.said(['A', 'C', 'X']), ['A@v1 C@v1 X@v2']);
  talk.ask(['A', 'C', 'X', 'B']);
  t.same(talk.said(['A', 'C', 'X', 'B']), ['A@v1 C@v1 X@v2 B@v2']);
});

t.test('other types come by name, only what changed', async (t) => {
  const talk = new Conversation(TYPE.endpoints, { A: 1, B: 1 });
  talk.ask(['A', 'Z']);
  t.same(talk.said(['A', 'Z']), ['A@v1']);
  talk.set('Z', 1);
  t.same(talk.said(['A', 'Z']), ['Z@v1']);
  talk.set('A', 2);
  t.same(talk.said(['A', 'Z']), ['A@v2']);
  talk.subscription.resend(['A']);
  t.same(talk.said(['A', 'Z']), ['A@v2'], 'a cluster that warms gets its endpoints again');
});

t.test('letting go of names is answered by nothing', async (t) => {
  for (const type of [TYPE.cluster, TYPE.route]) {
    const talk = new Conversation(type, { A: 1, B: 1 });
    talk.ask(['A', 'B']);
    talk.said(['A', 'B']);
    talk.ask(['A']);
    talk.set('B', 2);
    t.same(talk.said(['A']), []);
    talk.set('A', 2);
    t.same(talk.said(['A']), ['A@v2']);
    talk.ask([]);
    talk.set('A', 3);
    t.same(talk.said([]), [], 'an empty list after names is no wildcard');
  }
});

t.test('a client that comes back with its version gets nothing when nothing changed', async (t) => {
  for (const [type, names] of [
    [TYPE.cluster, []],
    [TYPE.endpoints, ['A']],
  ] as const) {
    const before = new Conversation(type, { A: 1 });
    before.ask(names);
    before.said(names);
    const version = before.last?.version ?? '';
    const again = new Conversation(type, before.provider);
    again.ask(names, { version });
    t.same(again.said(names), []);
    again.set('A', 2);
    t.same(again.said(names), ['A@v2']);
    const changed = new Conversation(type, before.provider);
    changed.ask(names, { version });
    t.same(changed.said(names), ['A@v2']);
  }
});

t.test('a nacked state is not sent again until it changes', async (t) => {
  for (const [type, names] of [
    [TYPE.cluster, []],
    [TYPE.endpoints, ['A']],
  ] as const) {
    const talk = new Conversation(type, { A: 1 });
    talk.ask(names);
    talk.said(names);
    talk.set('A', 2);
    t.same(talk.said(names, 'bad'), ['A@v2']);
    t.same(talk.said(names), []);
    talk.set('A', 3);
    t.same(talk.said(names), ['A@v3']);
  }
});

t.test('a nacked change that removes something too ends', async (t) => {
  const talk = new Conversation(TYPE.cluster, { A: 1, B: 1 });
  talk.ask([]);
  talk.said([]);
  talk.set('A', 2);
  talk.set('B', 0);
  const refused = [talk.said([], 'bad'), talk.said([], 'bad'), talk.said([], 'bad')];
  t.same(refused, [['B@v1 A@v2', 'A@v2'].map((text) => text.split(' ').toSorted().join(' ')), [], []]);
  talk.set('A', 3);
  t.same(talk.said([]), ['A@v3 B@v1', 'A@v3']);
  t.match(talk.subscription.view().held, [{ name: 'A', acked: 'v3', nacked: null }]);
});

t.test('what was refused of a name is forgotten with the name', async (t) => {
  const talk = new Conversation(TYPE.endpoints, { A: 1, B: 1 });
  talk.ask(['A', 'B']);
  talk.said(['A', 'B'], 'bad');
  talk.ask(['B']);
  talk.ask(['A', 'B']);
  t.same(talk.said(['A', 'B']), ['A@v1']);
});

t.test('a request with an old nonce is stale', async (t) => {
  const talk = new Conversation(TYPE.cluster, { A: 1 });
  talk.ask([]);
  t.same(talk.ask([], { nonce: 'old' }), { kind: 'stale' });
});

t.test('endpoints that are to be sent again while on their way are sent again', async (t) => {
  const talk = new Conversation(TYPE.endpoints, { A: 1 });
  talk.ask(['A']);
  const answer = talk.subscription.next('update', talk.provider.lookup(TYPE.endpoints), 'n1');
  talk.last = answer;
  talk.subscription.resend(['A']);
  talk.ask(['A']);
  t.same(talk.said(['A']), ['A@v1']);
  t.same(talk.said(['A']), []);
});
