/** What gRPC says in header fields, and what our own failures say to a gRPC client. */
import t from 'tap';
import { FAILURES, type FailureKind } from '../../../proxy/exchange/failure.ts';
import { localAnswer } from '../../../proxy/exchange/local-answer.ts';
import {
  formatGrpcTimeout,
  grpcStatusIn,
  grpcStatusOfHttp,
  isGrpc,
  parseGrpcTimeout,
} from '../../../proxy/http/grpc.ts';
import { HeaderList } from '../../../proxy/http/headers.ts';
import { CHUNKED_BODY, RequestHead } from '../../../proxy/http/message.ts';

t.test('a deadline has a number of at most 8 digits and a unit; anything else is none', async (t) => {
  const all: Record<string, number | null> = {
    '1H': 3_600_000,
    '2M': 120_000,
    '3S': 3000,
    '4m': 4,
    '5000u': 5,
    '6000000n': 6,
    '00000007m': 7,
    '0S': 0,
    '99999999H': 99_999_999 * 3_600_000,
    '100000000m': null,
    '': null,
    m: null,
    '1': null,
    '1s': null,
    '-1m': null,
    '+1m': null,
    '1.5S': null,
    '1 m': null,
    '1mm': null,
  };
  t.same(Object.fromEntries(Object.keys(all).map((text) => [text, parseGrpcTimeout(text)])), all);
});

t.test(
  'what is left is written in the finest unit that fits, never longer than it is and never as nothing',
  async (t) => {
    const all: [number, string][] = [
      [-5, '1u'],
      [0, '1u'],
      [0.25, '250u'],
      [1234.5678, '1234567u'],
      [99_999.999, '99999999u'],
      [100_000, '100000m'],
      [99_999_999, '99999999m'],
      [100_000_000, '100000S'],
      [1e11, '1666666M'],
      [1e13, '2777777H'],
      [1e300, '99999999H'],
    ];
    t.same(
      all.map(([ms]) => [ms, formatGrpcTimeout(ms)]),
      all,
    );
  },
);

t.test('a call is known by its media type, its end by a status', async (t) => {
  const types = [
    'application/grpc',
    'application/grpc+proto',
    'application/grpc; x=y',
    'application/grpc-web',
    'text/plain',
  ];
  t.same(
    types.map((type) => isGrpc(new HeaderList(['content-type', type]))),
    [true, true, true, false, false],
  );
  t.equal(isGrpc(new HeaderList()), false);
  const statuses = ['0', '14', '16', '17', 'x', '', '-1', '0014'];
  t.same(
    statuses.map((status) => grpcStatusIn(new HeaderList(['grpc-status', status]))),
    [0, 14, 16, 2, 2, 2, 2, 2],
  );
  t.equal(grpcStatusIn(new HeaderList()), -1);
  t.same(
    [200, 400, 401, 403, 404, 429, 500, 502, 503, 504].map(grpcStatusOfHttp),
    [2, 13, 16, 7, 12, 14, 2, 14, 14, 14],
  );
});

t.test('every failure is trailers only to a call: 200, no body, the status of the table, the reason', async (t) => {
  const headers = new HeaderList(['content-type', 'application/grpc']);
  const request = new RequestHead('POST', '/a.B/C', 'http', 'a', 20, headers, CHUNKED_BODY, true, false, '', false);
  for (const kind of Object.keys(FAILURES) as FailureKind[]) {
    const { head, body } = localAnswer({ kind, side: 'local', sent: 'nothing', detail: '50%\r\n' }, request);
    const said = [head.status, head.headers.get('grpc-status'), head.headers.get('grpc-message'), body.length];
    t.same(said, [200, String(FAILURES[kind].grpc), `${kind}: 50%25??`, 0]);
    t.equal(head.headers.get('tulle-reason'), kind);
  }
});
