/** `tulle test`: played requests go through the data plane's own code, and what differs from an expectation is said with its place. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { testCommand } from '../../../cli/test/command.ts';
import { runTestFile } from '../../../cli/test/run.ts';

const ROOT = join(import.meta.dirname, '../../..');

const MESH = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { selector: { app: web }, ports: [{ name: http, port: 80, appProtocol: http }] }
---
apiVersion: v1
kind: Service
metadata: { name: spare, namespace: default }
spec: { selector: { app: spare }, ports: [{ name: http, port: 80, appProtocol: http }] }
`;

const policy = (spec: string): string => `---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: web, namespace: default }
spec: { targetRefs: [{ group: '', kind: Service, name: web }], ${spec} }
`;

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly folder: string;
}

async function run(t: Test, spec: string, tests: string, junit = ''): Promise<Ran> {
  const folder = t.testdir({ 'mesh.yaml': MESH + (spec === '' ? '' : policy(spec)) });
  writeFileSync(join(folder, 'tests.yaml'), `manifests: [mesh.yaml]\n${tests}`);
  const [out, err]: [string[], string[]] = [[], []];
  const code = await testCommand(
    [join(folder, 'tests.yaml')],
    { junit: junit === '' ? '' : join(folder, junit), verbose: false },
    { out: (line) => void out.push(line), err: (line) => void err.push(line) },
  );
  return { code, out: out.join('\n'), err: err.join('\n'), folder };
}

/** All of them pass. */
async function holds(t: Test, spec: string, tests: string): Promise<void> {
  const { code, out, err } = await run(t, spec, tests);
  t.equal(code, 0, `${out}${err}`);
}

t.test('the tests of the example pass', async (t) => {
  const { problems, results } = await runTestFile(join(ROOT, 'examples/tests/shop.yaml'));
  t.same(problems, []);
  t.ok(results.length >= 7);
  t.same(
    results.flatMap(({ failures }) => failures),
    [],
  );
});

t.test('an ejected endpoint is left out, and comes back when its time is over', async (t) => {
  await holds(
    t,
    'loadBalancer: { policy: RoundRobin }, retries: { attempts: 0 }, circuitBreaker: { outlier: { consecutiveErrors: 3, ejection: { base: 10s, max: 10s } } }',
    `
endpoints:
  web:80: [{ name: good }, { name: bad, answers: [503] }]
tests:
  - name: out after three errors, back after ten seconds
    steps:
      - { request: { url: http://web/ }, times: 6, expect: { minSuccess: 50 } }
      - { request: { url: http://web/ }, times: 20, expect: { minSuccess: 100, shares: { web: 100 }, endpoints: [web/good] } }
      - { wait: 12s, request: { url: http://web/ }, times: 2, expect: { maxTries: 2 } }
`,
  );
});

t.test('hedges, fallbacks, faults and timeouts are played as a sidecar does them', async (t) => {
  await holds(
    t,
    'retries: { attempts: 1, hedge: { after: 100ms } }',
    `
tests:
  - name: a hedge answers for a slow try
    request: { url: http://web/ }
    answers: [{ after: 2s, body: slow }, { after: 10ms, body: fast }]
    expect: { body: fast, tries: 2, notBefore: 100ms, within: 150ms }
`,
  );
  await holds(
    t,
    'retries: { attempts: 0 }, circuitBreaker: { fallback: { backendRef: { name: spare, port: 80 } } }',
    `
tests:
  - name: another backend answers
    request: { url: http://web/ }
    answers: [503, { status: 200, body: spare }]
    expect: { backends: [web, spare], status: 200, headers: { tulle-fallback: '503' } }
`,
  );
  await holds(
    t,
    'fault: { abort: { percent: 100, status: 418 } }',
    `
tests:
  - { name: a fault, request: { url: http://web/ }, expect: { status: 418, reason: fault-abort, tries: 0 } }
`,
  );
  await holds(
    t,
    'retries: { attempts: 1, grpc: [unavailable] }',
    `
tests:
  - name: a call is tried again by its status
    request: { method: POST, url: http://web/a.B/C, headers: { content-type: application/grpc } }
    answers: [{ grpcStatus: 14 }, { grpcStatus: 0 }]
    expect: { tries: 2, grpcStatus: 0 }
`,
  );
});

t.test('an endpoint that is not ready is not asked; without any the request waits and is answered', async (t) => {
  await holds(
    t,
    '',
    `
tests:
  - name: only the ready one
    endpoints: { web:80: [{ name: a, ready: false }, { name: b }] }
    request: { url: http://web/ }
    times: 50
    expect: { endpoints: [web/b], maxTries: 50 }
  - name: none
    endpoints: { web:80: 0 }
    request: { url: http://web/ }
    expect: { status: 503, reason: no-healthy-endpoint, notBefore: 3s }
`,
  );
});

t.test('what differs is said in words, with the line of the expectation, and what happened', async (t) => {
  const { code, out } = await run(
    t,
    '',
    `tests:
  - name: hopes too much
    request: { url: http://web/ }
    answers: 503
    expect:
      status: 200
      backend: spare
  - name: passes
    request: { url: http://web/ }
    expect: { status: 200 }
`,
    'out.xml',
  );
  t.equal(code, 1);
  t.match(out, /FAILED {2}hopes too much/);
  t.match(out, /tests\.yaml:7: status is 503, to be 200 \(route default; tries: web\/\d; answered 503\)/);
  t.match(out, /tests\.yaml:8: backend is "web", to be "spare"/);
  t.match(out, /1 passed, 1 failed/);
});

t.test('JUnit XML has each test, and survives what XML cannot hold', async (t) => {
  const { folder } = await run(
    t,
    '',
    `tests:
  - { name: 'a < b & "c"', request: { url: http://web/ }, answers: { status: 500, body: "\\u0001" }, expect: { body: '<' } }
`,
    'out.xml',
  );
  const xml = readFileSync(join(folder, 'out.xml'), 'utf8');
  t.match(xml, 'tests="1" failures="1" errors="0"');
  t.match(xml, 'name="a &lt; b &amp; &quot;c&quot;"');
  t.notOk(xml.includes(String.fromCodePoint(1)));
});

t.test('a file that cannot be run says what is wrong, and where', async (t) => {
  const wrong = async (tests: string): Promise<string> => {
    const { code, err } = await run(t, '', tests);
    t.equal(code, 2);
    return err;
  };
  t.match(await wrong('tests: []'), /tests\.yaml:2:\d+: tests: /);
  t.match(
    await wrong('tests:\n  - { name: a, request: { url: http://web/ }, expect: { statsu: 200 } }'),
    /tests\.yaml:3:\d+: tests\[0\]\.expect\.statsu: is an unknown field \(did you mean 'status'\?\)/,
  );
  t.match(
    await wrong('tests:\n  - { name: a, request: { url: http://web/ }, answers: sometimes }'),
    /answers: is no answer: the string "sometimes" \(write a status, connect-failure, reset/,
  );
  const nowhere = await run(t, '', 'tests: [{ name: a, request: { url: http://nobody/ } }]');
  t.equal(nowhere.code, 1);
  t.match(nowhere.out, 'no Service has the name and port nobody:80');
  const folder = t.testdir({ 'tests.yaml': 'manifests: [nothing]\ntests: [{ name: a }]' });
  t.match((await runTestFile(join(folder, 'tests.yaml'))).problems.join(), 'nothing does not exist');
});

t.test('hundreds of tests take a second', async (t) => {
  const many = Array.from(
    { length: 300 },
    (_, i) => `  - { name: t${i}, request: { url: http://web/ }, answers: [503, 200], expect: { status: 200 } }`,
  ).join('\n');
  const { code, out } = await run(t, 'retries: { attempts: 1, retryOn: [gateway-error] }', `tests:\n${many}`);
  t.equal(code, 0);
  t.comment(out);
  t.match(out, '300 passed, 0 failed');
});
