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

t.test(
  'an endpoint that begins ejected is left out; one with answers of its own gives them in turn, through all steps',
  async (t) => {
    await holds(
      t,
      'retries: { attempts: 0 }',
      `
tests:
  - name: ejected
    endpoints: { web:80: [{ name: out, ejected: true }, { name: in }] }
    steps: [{ request: { url: http://web/ }, times: 30, expect: { endpoints: [web/in], shares: { web: 100 } } }]
  - name: in turn
    endpoints: { web:80: [{ name: a, answers: [503, 500, 200] }] }
    steps:
      - { request: { url: http://web/ }, expect: { status: 503 } }
      - { request: { url: http://web/ }, expect: { status: 500 } }
      - { request: { url: http://web/ }, times: 5, expect: { status: 200 } }
`,
    );
  },
);

t.test(
  'a connection that is slow to fail ends at the connect timeout; tries are told with time and outcome',
  async (t) => {
    await holds(
      t,
      'timeouts: { connect: 500ms, perTry: 3s }, retries: { attempts: 2, retryOn: [connect-failure, gateway-error], backoff: { base: 25ms, max: 25ms } }',
      `
tests:
  - name: three tries
    request: { url: http://web/ }
    answers: [{ fails: connect-failure, after: 2s }, silence, 200]
    expect: { outcomes: [connect-timeout, per-try-timeout, 200], triedAt: [0s, 500ms..530ms, 3500ms..3570ms], status: 200 }
`,
    );
  },
);

t.test('endpoints of the zone that asks come first, as the control plane puts them', async (t) => {
  await holds(
    t,
    'loadBalancer: { locality: { prefer: Zone } }',
    `
zone: a
endpoints: { web:80: [{ name: near, zone: a }, { name: far, zone: b }] }
tests:
  - { name: near, request: { url: http://web/ }, times: 20, expect: { endpoints: [web/near] } }
  - { name: from b, zone: b, request: { url: http://web/ }, times: 20, expect: { endpoints: [web/far] } }
  - name: far when near is gone
    endpoints: { web:80: [{ name: near, zone: a, ready: false }, { name: far, zone: b }] }
    request: { url: http://web/ }
    expect: { endpoints: [web/far] }
`,
  );
});

t.test('copies of a request take no answer of its tries, and are told apart', async (t) => {
  const route = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: web, namespace: default }
spec:
  parentRefs: [{ group: '', kind: Service, name: web }]
  rules:
    - filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: spare, port: 80 } } }]
      backendRefs: [{ name: web, port: 80 }]
`;
  await holds(
    t,
    `retries: { attempts: 1, retryOn: [gateway-error] } }\n${route}#`,
    `
tests:
  - name: mirrored
    request: { method: PUT, url: http://web/, body: hello }
    answers: [503, 200, 500]
    expect: { outcomes: ['503', 200], status: 200, copies: [spare], upstream: { host: web, body: hello } }
`,
  );
});

t.test('hosts outside have endpoints, too', async (t) => {
  const outside = `---
apiVersion: tulle.dev/v1alpha1
kind: ExternalService
metadata: { name: pay, namespace: default }
spec: { hosts: [api.pay.example], ports: [{ number: 80, name: http, appProtocol: http }] }
`;
  await holds(
    t,
    `retries: { attempts: 0 } }\n${outside}#`,
    `
endpoints: { 'api.pay.example:80': [{ name: one, answers: [503] }] }
tests:
  - { name: pay, request: { url: http://api.pay.example/ }, expect: { status: 503, endpoints: [api.pay.example/one] } }
`,
  );
});

t.test('a request that nothing ends is said to be so', async (t) => {
  const { code, out } = await run(
    t,
    'circuitBreaker: { outlier: { consecutiveErrors: 3 } }',
    'tests: [{ name: a, request: { url: http://web/ }, answers: silence }]',
  );
  t.equal(code, 1);
  t.match(out, 'request is never over');
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
  t.match(out, /tests\.yaml:7: status is 503, to be 200 \(route default; tries: web\/\d 503; answered 503\)/);
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
  t.match(
    await wrong('endpoints: { wbe:80: 1 }\ntests: [{ name: a }]'),
    /tests\.yaml:2:\d+: endpoints\[wbe:80\]: is no port of a Service \(did you mean 'web:80'\?\)/,
  );
  t.match(
    await wrong('tests: [{ name: a, expect: { triedAt: [soon] } }]'),
    /triedAt\[0\]: is no time: .* \(write 3s, or 3s\.\.3250ms for all between\)/,
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
