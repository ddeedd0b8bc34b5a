/** Traces go on through the sidecar: W3C by the W3C's own cases, B3 in both forms, ids. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { randomInt, seededRandom } from '#base/random.ts';
import { HeaderList } from '../../../proxy/http/headers.ts';
import { PooledIds } from '../../../proxy/telemetry/ids.ts';
import { continueTrace, markSampled } from '../../../proxy/telemetry/trace-context.ts';

interface Case {
  name: string;
  headers: [string, string][];
  trace?: 'kept' | 'new';
  tracestate?: Record<string, string>;
  lacks?: string[];
  random?: boolean;
}

const CASES = JSON.parse(
  readFileSync(new URL('../../corpora/trace-context/cases.json', import.meta.url), 'utf8'),
) as Case[];
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const NEW = 'a'.repeat(32);

/** Ids that are easy to tell: the only ones that the sidecar makes. */
const ids = { traceId: () => NEW, spanId: () => 'b'.repeat(16), requestId: () => 'r-1' };
const OURS = 'b'.repeat(16);

function continued(fields: Record<string, string>, sampleNew = false): Record<string, string> {
  const headers = new HeaderList(Object.entries(fields).flat());
  const { sampled: asked, parentSpanId, begins } = continueTrace(headers, ids);
  const sampled = asked || (begins && sampleNew);
  if (begins && sampleNew) markSampled(headers);
  const entries = Array.from(
    { length: headers.size },
    (_, i) => headers.fields.slice(i * 2, i * 2 + 2) as [string, string],
  );
  const told = Object.fromEntries(entries.filter(([name]) => name !== 'x-request-id'));
  return { ...told, is: `${sampled ? 'sampled' : 'unsampled'} under ${parentSpanId || 'none'}` };
}

/** As a codec delivers them: names in lower case, values trimmed. */
function asReceived(headers: readonly [string, string][]): HeaderList {
  return new HeaderList(headers.flatMap(([name, value]) => [name.toLowerCase(), value.trim()]));
}

function judge(vector: Case): Record<string, unknown> {
  const headers = asReceived(vector.headers);
  const { traceId } = continueTrace(headers, ids);
  const traceparent = headers.getAll('traceparent').join(',');
  const state = headers.getAll('tracestate').join(',').split(',');
  const members = new Map(
    state.map((member) => [
      member.trimStart().slice(0, member.trimStart().indexOf('=')),
      member.slice(member.indexOf('=') + 1).trimEnd(),
    ]),
  );
  return {
    valid: /^00-[0-9a-f]{32}-b{16}-0[0-3]$/.test(traceparent) && traceparent.startsWith(`00-${traceId}`),
    trace: traceId === NEW ? 'new' : 'kept',
    tracestate: Object.fromEntries(Object.keys(vector.tracestate ?? {}).map((key) => [key, members.get(key)])),
    lacking: (vector.lacks ?? []).filter((key) => !members.has(key)),
    random: (Number.parseInt(traceparent.slice(-2), 16) & 2) !== 0,
  };
}

t.test('the cases of the W3C come out as they demand', async (t) => {
  for (const vector of CASES) {
    const got = judge(vector);
    const wanted = {
      valid: true,
      trace: vector.trace ?? got['trace'],
      tracestate: vector.tracestate ?? {},
      lacking: vector.lacks ?? [],
      random: vector.random ?? got['random'],
    };
    t.same(got, wanted, `${vector.name} ${JSON.stringify(vector.headers)}`);
  }
});

t.test('a trace begins here when none came, sampled as the caller of the function says', async (t) => {
  t.same(continued({}), { traceparent: `00-${NEW}-${OURS}-02`, is: 'unsampled under none' });
  t.same(continued({ tracestate: 'a=1', traceparent: 'nonsense' }, true), {
    traceparent: `00-${NEW}-${OURS}-03`,
    is: 'sampled under none',
  });
  t.same(
    continued({ traceparent: `00-${TRACE}-${SPAN}-00` }, true),
    { traceparent: `00-${TRACE}-${OURS}-00`, is: `unsampled under ${SPAN}` },
    'a decision that was taken stays',
  );
  t.same(
    continued({ traceparent: `00-${TRACE}-${SPAN}-ff`, tracestate: '' }),
    { traceparent: `00-${TRACE}-${OURS}-03`, is: `sampled under ${SPAN}` },
    'unknown flags do not go on',
  );
});

t.test('B3 is read where there is no traceparent, and written where it came', async (t) => {
  const w3c = `00-${TRACE}-${OURS}-01`;
  t.same(continued({ b3: `${TRACE}-${SPAN}-1-05e3ac9a4f6e3b90` }), {
    b3: `${TRACE}-${OURS}-1-${SPAN}`,
    traceparent: w3c,
    is: `sampled under ${SPAN}`,
  });
  t.same(continued({ b3: `${TRACE}-${SPAN}-d` })['traceparent'], w3c);
  t.same(continued({ b3: `a3ce929d0e0e4736-${SPAN}-0` }), {
    b3: `a3ce929d0e0e4736-${OURS}-0-${SPAN}`,
    traceparent: `00-0000000000000000a3ce929d0e0e4736-${OURS}-00`,
    is: `unsampled under ${SPAN}`,
  });
  t.same(
    continued({ b3: '0' }, true),
    { b3: `${NEW}-${OURS}-0`, traceparent: `00-${NEW}-${OURS}-00`, is: 'unsampled under none' },
    'only a decision',
  );
  for (const b3 of [TRACE, `${TRACE}-`, `xyz-${SPAN}`, `${TRACE}-${'0'.repeat(16)}`, '', '2']) {
    t.same(
      continued({ b3 }),
      { b3: `${NEW}-${OURS}-0`, traceparent: `00-${NEW}-${OURS}-02`, is: 'unsampled under none' },
      `unreadable: ${b3}`,
    );
  }
  t.same(
    continued({
      'x-b3-traceid': TRACE,
      'x-b3-spanid': SPAN,
      'x-b3-parentspanid': '05e3ac9a4f6e3b90',
      'x-b3-sampled': 'true',
    }),
    {
      'x-b3-traceid': TRACE,
      'x-b3-spanid': OURS,
      'x-b3-parentspanid': SPAN,
      'x-b3-sampled': '1',
      traceparent: w3c,
      is: `sampled under ${SPAN}`,
    },
  );
  t.same(continued({ 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-flags': '1' }), {
    'x-b3-traceid': TRACE,
    'x-b3-spanid': OURS,
    'x-b3-flags': '1',
    'x-b3-parentspanid': SPAN,
    traceparent: w3c,
    is: `sampled under ${SPAN}`,
  });
  t.same(
    continued({ traceparent: `00-${TRACE}-${SPAN}-01`, b3: `${'c'.repeat(32)}-${'d'.repeat(16)}-0` }),
    { traceparent: w3c, b3: `${TRACE}-${OURS}-1-${SPAN}`, is: `sampled under ${SPAN}` },
    'traceparent wins, and both then say the same',
  );
});

t.test('a request id is kept, else made', async (t) => {
  const kept = new HeaderList(['x-request-id', 'mine', 'x-request-id', 'second']);
  t.equal(continueTrace(kept, ids).requestId, 'mine');
  const empty = new HeaderList(['x-request-id', '']);
  t.equal(continueTrace(empty, ids).requestId, 'r-1');
  t.equal(empty.get('x-request-id'), 'r-1');
});

t.test('ids are well formed, never zero, and drawn a pool at a time', async (t) => {
  const random = seededRandom(7);
  let draws = 0;
  const pooled = new PooledIds((pool) => {
    draws++;
    for (let i = 0; i < pool.length; i++) pool[i] = randomInt(random, 256);
  });
  const kinds = [
    { of: () => pooled.spanId(), perDraw: 2048, looks: /^[0-9a-f]{16}$/ },
    { of: () => pooled.traceId(), perDraw: 1024, looks: /^[0-9a-f]{32}$/ },
    {
      of: () => pooled.requestId(),
      perDraw: 1024,
      looks: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    },
  ];
  for (const { of, perDraw, looks } of kinds) {
    draws = 0;
    const made = Array.from({ length: 4 * perDraw }, of);
    t.equal(draws, 4);
    t.equal(new Set(made).size, made.length);
    t.same(
      made.filter((id) => !looks.test(id)),
      [],
    );
  }
  const zeros = new PooledIds((pool) => pool.fill(0));
  t.not(zeros.traceId(), '0'.repeat(32));
  t.not(zeros.spanId(), '0'.repeat(16));
  t.not(new PooledIds().spanId(), new PooledIds().spanId());
});
