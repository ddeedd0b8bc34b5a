/**
 * llhttp's own vectors: what it refuses strictly we refuse, what it accepts we read the same, whole and cut anywhere.
 * Where we judge otherwise on purpose stands in DIFFERENCES, with the reason; a difference that is none any more fails too.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { cutsOf, type Message, type Outcome, readRequests, readResponses } from './recorder.ts';

interface Case {
  id: string;
  name: string;
  type: 'request' | 'response';
  lenient: boolean;
  skipBody?: boolean;
  input: string;
  errorCodes: number[];
  messages?: {
    start: string;
    headers?: [string, string][];
    trailers?: [string, string][];
    body?: string;
    complete?: boolean;
  }[];
}

const CASES = JSON.parse(
  readFileSync(new URL('../../corpora/llhttp/llhttp-cases.json', import.meta.url), 'utf8'),
) as Case[];

/** `refused`: we refuse what llhttp takes; `accepted`: the reverse; `read`: both take it and the model differs; `left`: bytes are left unread. */
const DIFFERENCES: Record<string, readonly ['refused' | 'accepted' | 'read' | 'left', string]> = {
  'test/request/connection.md:112': ['left', 'what follows a request that closes is not read at all (RFC 9112 9.6)'],
  'test/request/connection.md:158': [
    'refused',
    'one empty line before a request line is forgiven, not two (RFC 9112 2.2)',
  ],
  'test/request/connection.md:396': ['left', 'what follows a request that closes is not read at all (RFC 9112 9.6)'],
  'test/request/content-length.md:446': ['read', 'skipBody is a switch of llhttp; here the body is read as announced'],
  'test/request/invalid.md:68': ['accepted', 'any token is a method (RFC 9110 9.1)'],
  'test/request/invalid.md:358': ['accepted', 'any token is a method (RFC 9110 9.1)'],
  'test/request/method.md:98': [
    'refused',
    'a CONNECT with Content-Length: two readers see the tunnel begin in two places (RFC 9110 9.3.6)',
  ],
  'test/request/method.md:137': ['refused', '* is a target for OPTIONS only (RFC 9112 3.2.4)'],
  'test/request/method.md:374': ['refused', 'ICE is not HTTP (RFC 9112 2.3)'],
  'test/request/method.md:404': ['refused', 'RTSP is not HTTP (RFC 9112 2.3)'],
  'test/request/method.md:432': ['refused', 'RTSP is not HTTP (RFC 9112 2.3)'],
  'test/request/method.md:460': ['refused', '* is a target for OPTIONS only; the HTTP/2 preface is told apart before'],
  'test/request/sample.md:316': ['refused', 'HTTP/0.9 (RFC 9112 2.3)'],
  'test/request/transfer-encoding.md:188': ['read', 'Content-Type may not come as a trailer (RFC 9110 6.5.1)'],
  'test/request/transfer-encoding.md:753': [
    'refused',
    'a fragment in the target (RFC 9112 3.2; CVE-2021-32779), and a coding that we cannot undo',
  ],
  'test/request/transfer-encoding.md:795': [
    'refused',
    'a fragment in the target (RFC 9112 3.2; CVE-2021-32779), and two Transfer-Encoding lines',
  ],
  'test/request/uri.md:167': ['refused', 'a fragment in the target (RFC 9112 3.2; CVE-2021-32779)'],
  'test/request/uri.md:224': ['refused', 'userinfo in the authority (RFC 9110 4.2.4)'],
  'test/response/connection.md:195': [
    'left',
    'bytes behind an answer that closes are left to the caller, who closes (RFC 9112 9.6)',
  ],
  'test/response/connection.md:262': [
    'left',
    'bytes behind an answer that closes are left to the caller, who closes (RFC 9112 9.6)',
  ],
  'test/response/connection.md:295': ['refused', 'a 101 that nobody asked for (RFC 9110 15.2.2)'],
  'test/response/connection.md:333': ['refused', 'a 101 that nobody asked for (RFC 9110 15.2.2)'],
  'test/response/connection.md:494': ['refused', 'an empty line is forgiven before requests only (RFC 9112 2.2)'],
  'test/response/connection.md:588': ['refused', 'an empty line is forgiven before requests only (RFC 9112 2.2)'],
  'test/response/pipelining.md:6': ['refused', 'an empty line is forgiven before requests only (RFC 9112 2.2)'],
  'test/response/sample.md:42': ['refused', 'RTSP is not HTTP (RFC 9112 2.3)'],
  'test/response/sample.md:62': ['refused', 'ICE is not HTTP (RFC 9112 2.3)'],
  'test/response/sample.md:647': ['refused', 'HTTP/0.9 (RFC 9112 2.3)'],
  'test/response/sample.md:697': ['refused', 'an empty line is forgiven before requests only (RFC 9112 2.2)'],
  'test/response/transfer-encoding.md:45': [
    'refused',
    'a transfer coding that is not just chunked: response splitting (RFC 9112 6.1)',
  ],
  'test/response/transfer-encoding.md:76': [
    'refused',
    'a transfer coding that is not just chunked: response splitting (RFC 9112 6.1)',
  ],
  'test/response/transfer-encoding.md:114': [
    'refused',
    'a transfer coding that is not just chunked: response splitting (RFC 9112 6.1)',
  ],
};

const HOP_BY_HOP = [
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'upgrade',
  'http2-settings',
];

/** 21, 22, 23: llhttp pauses for its user. 5: data after `Connection: close`, which we leave unread. */
const NOT_ERRORS = new Set([5, 21, 22, 23]);

/** Most vectors have no Host, which HTTP/1.1 demands (RFC 9112 3.2): they get one, and are tried without as well. */
function withHost(text: string): string {
  if (/\nhost[ \t]*:/i.test(text)) return text;
  const host = /^\S+ https?:\/\/(?:[^/? ]*@)?([^/? ]+)/.exec(text)?.[1] ?? 'a';
  return text.replaceAll('HTTP/1.1\r\n', `HTTP/1.1\r\nHost: ${host}\r\n`);
}

function inputOf(vector: Case): Buffer {
  const input = Buffer.from(vector.input, 'base64');
  return vector.type === 'request' ? Buffer.from(withHost(input.toString('latin1')), 'latin1') : input;
}

function read(vector: Case, input: Buffer, cuts: readonly number[] = []): Outcome {
  if (vector.type === 'request') return readRequests(input, cuts);
  return readResponses(input, cuts, [vector.skipBody === true ? 'HEAD' : 'GET']);
}

/** What llhttp saw, in the terms of our model. */
function expectedOf(vector: Case): Omit<Message, 'model'>[] {
  const dropped = vector.type === 'request' ? [...HOP_BY_HOP, 'host'] : HOP_BY_HOP;
  return (vector.messages ?? []).map((message) => ({
    start: modelStart(message.start),
    fields: flat((message.headers ?? []).filter(([name]) => !dropped.includes(name.toLowerCase()))),
    body: message.body ?? '',
    trailers: flat(message.trailers ?? []),
    complete: message.complete ?? false,
  }));
}

/** An absolute target is taken apart in the model, and the authority of CONNECT is in lower case. */
function modelStart(start: string): string {
  if (start.startsWith('CONNECT ')) return `CONNECT ${start.slice(8).toLowerCase()}`;
  const absolute = /^(\S+) https?:\/\/[^/?]+(.*)$/.exec(start);
  return absolute === null ? start : `${absolute[1]} ${absolute[2]!.startsWith('/') ? '' : '/'}${absolute[2]}`;
}

function flat(pairs: readonly [string, string][]): string[] {
  return pairs.flatMap(([name, value]) => [name.toLowerCase(), value]);
}

/** '' when we do as llhttp does strictly, else the kind of difference. */
function compare(vector: Case): string {
  const input = inputOf(vector);
  const mustRefuse = vector.lenient || vector.errorCodes.some((code) => !NOT_ERRORS.has(code));
  let outcome = read(vector, input);
  // Fields are judged together: a vector that ends before its head does is given the end.
  if (mustRefuse && outcome.failure === '' && outcome.end === 'head')
    outcome = read(vector, Buffer.concat([input, Buffer.from('\r\n\r\n')]));
  const refused = outcome.failure !== '';
  if (mustRefuse) return refused ? '' : outcome.rest === '' ? 'accepted' : 'left';
  if (refused) return 'refused';
  const messages = outcome.messages.map(({ start, fields, body, trailers, complete }) => ({
    start,
    fields,
    body,
    trailers,
    complete,
  }));
  return JSON.stringify(messages) === JSON.stringify(expectedOf(vector)) ? '' : 'read';
}

t.test('every vector is judged as llhttp judges it strictly, but for the differences that are listed', async (t) => {
  const found = CASES.map((vector) => [vector.id, compare(vector)] as const).filter(
    ([, difference]) => difference !== '',
  );
  t.same(Object.fromEntries(found), Object.fromEntries(Object.entries(DIFFERENCES).map(([id, [kind]]) => [id, kind])));
  t.equal(CASES.length, 251);
});

t.test('a vector gives the same messages, failure and rest whole, byte by byte and cut in two anywhere', async (t) => {
  for (const vector of CASES) {
    const input = inputOf(vector);
    const whole = JSON.stringify(read(vector, input));
    const different = cutsOf(input.length).find((cuts) => JSON.stringify(read(vector, input, cuts)) !== whole);
    if (different !== undefined)
      t.equal(JSON.stringify(read(vector, input, different)), whole, `${vector.id} cut at ${different.join()}`);
  }
});

t.test('HTTP/1.1 vectors without Host are refused as they are', async (t) => {
  const bare = CASES.filter((vector) => vector.type === 'request' && !vector.lenient && vector.errorCodes.length === 0)
    .map((vector) => Buffer.from(vector.input, 'base64'))
    .filter(
      (input) =>
        /^\S+ \S+ HTTP\/1\.1\r\n(?:.+\r\n)*\r\n/.test(input.toString('latin1')) &&
        !/\nhost:/i.test(input.toString('latin1')),
    );
  t.ok(bare.length > 30);
  for (const input of bare)
    t.match(readRequests(input).failure, /^bad-request: /, JSON.stringify(input.toString('latin1')));
});
