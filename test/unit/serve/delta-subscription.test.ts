/**
 * The incremental protocol, one type on one stream. Scenarios after the xDS test harness (ii/xds-test-harness), own code.
 */
import t from 'tap';
import { TYPE } from '#api/names.ts';
import type { ResourceType } from '#api/names.ts';
import { DeltaSubscription } from '../../../control-plane/serve/delta-subscription.ts';
import type { DeltaDemand } from '../../../control-plane/serve/delta-subscription.ts';
import { MAX_NAMES, RESPONSE_BYTES } from '../../../control-plane/serve/subscription.ts';
import type { Receipt } from '../../../control-plane/serve/subscription.ts';
import { FakeProvider } from '../../support/fake-provider.ts';

/** A client of one subscription that says in short what it was told: `A@v1`, `-B` for a removal. */
class Conversation {
  readonly provider = new FakeProvider();
  readonly subscription: DeltaSubscription;
  readonly type: ResourceType;
  nonce = 0;

  constructor(type: ResourceType, resources: Record<string, number> = {}) {
    this.type = type;
    this.subscription = new DeltaSubscription(type);
    for (const [name, version] of Object.entries(resources)) this.set(name, version);
  }

  set(name: string, version: number): void {
    this.provider.set(this.type, name, version);
  }

  ask(demand: Partial<DeltaDemand>): Receipt {
    return this.subscription.receive({
      subscribe: [],
      unsubscribe: [],
      initialVersions: {},
      nonce: '',
      error: null,
      ...demand,
    });
  }

  /** Everything that is said now, one text a response, updates before removals. */
  said(): string[] {
    const texts: string[] = [];
    for (const phase of ['update', 'removal'] as const) {
      for (;;) {
        const nonce = String(this.nonce + 1);
        const answer = this.subscription.next(phase, this.provider.lookup(this.type), nonce);
        if (answer === null) break;
        this.nonce++;
        const told = [...answer.resources.map((r) => `${r.name}@${r.version}`), ...answer.removed.map((n) => `-${n}`)];
        texts.push(told.join(' '));
      }
    }
    return texts;
  }

  ack(): Receipt {
    return this.ask({ nonce: String(this.nonce) });
  }

  nack(error: string): Receipt {
    return this.ask({ nonce: String(this.nonce), error });
  }
}

t.test('names asked for are answered, changed ones alone are sent again', async (t) => {
  const talk = new Conversation(TYPE.route, { A: 1, B: 1, C: 1 });
  talk.ask({ subscribe: ['A'] });
  t.same(talk.said(), ['A@v1']);
  t.same(talk.ack(), { kind: 'ack', nonce: '1' });
  talk.ask({ subscribe: ['B'] });
  t.same(talk.said(), ['B@v1']);
  talk.ack();
  talk.set('B', 2);
  talk.set('C', 2);
  t.same(talk.said(), ['B@v2']);
  t.same(talk.said(), [], 'and never more than necessary');
});

t.test('a name that does not exist is answered at once, and sent when it comes to be', async (t) => {
  const talk = new Conversation(TYPE.cluster, { A: 1 });
  talk.ask({ subscribe: ['A', 'B'] });
  t.same(talk.said(), ['A@v1 -B']);
  talk.ack();
  talk.set('X', 1);
  t.same(talk.said(), []);
  talk.set('B', 1);
  t.same(talk.said(), ['B@v1']);
  talk.set('B', 0);
  t.same(talk.said(), ['-B']);
  t.same(talk.subscription.view().absent, ['B']);
});

t.test('removals come after updates, in a response of their own', async (t) => {
  const talk = new Conversation(TYPE.endpoints, { A: 1, B: 1 });
  talk.ask({ subscribe: ['A', 'B'] });
  talk.said();
  talk.set('A', 0);
  talk.set('B', 2);
  t.same(talk.said(), ['B@v2', '-A']);
});

t.test('an unsubscribed name is not sent any more', async (t) => {
  const talk = new Conversation(TYPE.listener, { A: 1, B: 1 });
  talk.ask({ subscribe: ['A', 'B'] });
  talk.said();
  talk.ask({ unsubscribe: ['A'] });
  talk.set('A', 2);
  t.same(talk.said(), []);
  talk.ask({ unsubscribe: ['B'] });
  talk.set('B', 2);
  t.same(talk.said(), [], 'and an empty subscription is no wildcard');
});

t.test('a name asked for again is sent again', async (t) => {
  const talk = new Conversation(TYPE.cluster, { A: 1 });
  talk.ask({ subscribe: ['A'] });
  talk.said();
  talk.ack();
  talk.ask({ subscribe: ['A'] });
  t.same(talk.said(), ['A@v1']);
});

t.test('a wildcard gets all there is, as it comes and goes', async (t) => {
  for (const subscribe of [[], ['*']]) {
    const talk = new Conversation(TYPE.cluster, { A: 1, B: 1 });
    talk.ask({ subscribe });
    t.same(talk.said(), ['A@v1 B@v1']);
    talk.set('C', 1);
    t.same(talk.said(), ['C@v1']);
    talk.set('A', 0);
    t.same(talk.said(), ['-A']);
    talk.ask({ unsubscribe: ['B'] });
    t.same(talk.said(), ['B@v1'], 'what the wildcard still covers is told anew');
    talk.ask({ unsubscribe: ['*'] });
    talk.set('B', 2);
    t.same(talk.said(), []);
  }
});

t.test('a wildcard is answered even when there is nothing, once', async (t) => {
  const talk = new Conversation(TYPE.listener);
  talk.ask({});
  t.same([talk.said(), talk.said()], [[''], []]);
  const routes = new Conversation(TYPE.route, { A: 1 });
  routes.ask({});
  t.same(routes.said(), [], 'but only listeners and clusters have the form without names');
});

t.test('a client that comes back with its versions gets the difference', async (t) => {
  const initialVersions = { A: 'v1', B: 'v1', C: 'v1', other: 'v1' };
  const same = new Conversation(TYPE.cluster, { A: 1, B: 1, C: 1 });
  same.ask({ subscribe: ['A', 'B', 'C'], initialVersions });
  t.same(same.said(), []);
  const changed = new Conversation(TYPE.cluster, { A: 1, B: 2 });
  changed.ask({ subscribe: ['A', 'B', 'C'], initialVersions });
  t.same(changed.said(), ['B@v2', '-C']);
  const wildcard = new Conversation(TYPE.cluster, { A: 1, B: 1, D: 1 });
  wildcard.ask({ initialVersions });
  t.same(wildcard.said(), ['D@v1', '-C -other']);
});

t.test('a nacked version is not sent again until it changes, and holds up nothing else', async (t) => {
  const talk = new Conversation(TYPE.cluster, { A: 1, B: 1 });
  talk.ask({ subscribe: ['A', 'B'] });
  talk.said();
  talk.ack();
  talk.set('A', 2);
  talk.said();
  t.same(talk.nack('bad'), { kind: 'nack', nonce: '2', reason: 'bad', names: ['A'] });
  t.same(talk.said(), []);
  talk.set('B', 2);
  t.same(talk.said(), ['B@v2']);
  talk.ack();
  talk.set('A', 1);
  t.same(talk.said(), [], 'what it was before the bad one is what the client has');
  talk.set('A', 2);
  t.same(talk.said(), [], 'the same bad one');
  talk.set('A', 3);
  t.same(talk.said(), ['A@v3']);
  t.match(talk.subscription.view().held[0], { name: 'A', sent: 'v3', acked: 'v1', nacked: 'v2' });
  talk.ack();
  talk.set('A', 2);
  t.same(talk.said(), ['A@v2'], 'once the client has moved on it is asked anew');
});

t.test('an answer to a response that was never sent or is settled is stale', async (t) => {
  const talk = new Conversation(TYPE.cluster, { A: 1 });
  talk.ask({ subscribe: ['A'] });
  talk.said();
  t.same(
    [talk.ask({ nonce: 'x' }), talk.ack(), talk.ack()].map((receipt) => receipt.kind),
    ['stale', 'ack', 'stale'],
  );
});

t.test('a client that does not ack gets a bounded number of responses, then the last state', async (t) => {
  const talk = new Conversation(TYPE.cluster, { A: 1 });
  talk.ask({ subscribe: ['A'] });
  const told: string[] = [];
  for (let version = 1; version <= 20; version++) {
    talk.set('A', version);
    told.push(...talk.said());
  }
  t.equal(told.length, 8);
  talk.ack();
  t.same(talk.said(), ['A@v20']);
});

t.test('a large state is cut into several responses', async (t) => {
  const talk = new Conversation(TYPE.cluster);
  const message = Buffer.alloc(RESPONSE_BYTES / 2);
  for (const name of ['A', 'B', 'C']) talk.provider.set(TYPE.cluster, name, 1, message);
  talk.ask({});
  t.same(talk.said(), ['A@v1 B@v1', 'C@v1']);
});

t.test('too many names are an excess', async (t) => {
  const talk = new Conversation(TYPE.cluster);
  t.same(talk.ask({ subscribe: Array.from({ length: MAX_NAMES + 1 }, (_, i) => `n${i}`) }), { kind: 'excess' });
  const wordy = new Conversation(TYPE.cluster);
  t.same(wordy.ask({ subscribe: ['n'.repeat(512)] }), { kind: 'none' });
  t.same(wordy.ask({ subscribe: ['n'.repeat(513)] }), { kind: 'excess' }, 'nor may names be long');
});
