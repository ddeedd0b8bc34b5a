/**
 * Our own vectors for the ways in which two readers of HTTP/1.1 have come to disagree (smuggling, splitting, truncation), by class.
 * Each short one is also cut byte by byte and in two at every position, and must be judged the same.
 */
import t from 'tap';
import { DEFAULT_LIMITS } from '../../../proxy/http/message.ts';
import { latin1, request, response, told, verdict } from './judge.ts';
import { cutsOf, readRequests, readResponses } from './recorder.ts';
import { CHUNKED, GET, OK, POST, REFUSED_ANSWERS, REFUSED_CHUNKS, REFUSED_HEADS } from './vectors.ts';

t.test('a head that two readers could understand differently is refused, however it is cut', async (t) => {
  for (const [what, [kind, ...inputs]] of Object.entries(REFUSED_HEADS)) {
    t.same(
      inputs.map((input) => [input, verdict(request(input))]),
      inputs.map((input) => [input, `${kind} after 0`]),
      what,
    );
  }
});

t.test('a chunked body is refused where its grammar ends (H13, H14, H15)', async (t) => {
  t.same(
    REFUSED_CHUNKS.map((body) => [body, verdict(request(CHUNKED + body))]),
    REFUSED_CHUNKS.map((body) => [body, 'bad-request after 1']),
  );
});

t.test('what is unusual but means one thing is read', async (t) => {
  const keep = 'http a 11 none keep';
  t.same(
    told(request(`${POST}content-length: 0005\r\n\r\nhello`)),
    ['POST / | http a 11 length=5 keep |  | hello |  | end'],
    'H5: leading zeros',
  );
  t.same(
    told(request(`${POST}Transfer-Encoding:\t CHUNKED \t\r\n\r\n5;a;b="x;\\"\r";c=d\r\n`.replace('\r"', '"'))),
    ['POST / | http a 11 chunked keep |  |  |  | open'],
    'H3, H14: case, blanks, extensions',
  );
  t.same(
    told(
      request(
        `${CHUNKED}A ;a\r\n`.replace(' ;', ';') +
          '0123456789\r\n0000;x = "y" ; z\r\nX-T: 1\r\nContent-Length: 9\r\nHost: b\r\nX-Forwarded-Client-Cert: x\r\nAuthorization: z\r\n\r\n',
      ),
    ),
    ['POST / | http a 11 chunked keep |  | 0123456789 | x-t 1 | end'],
    'H14 H16: extensions are dropped, and trailers that may not be trailers',
  );
  t.same(
    told(request('GET / HTTP/1.1\r\nHost: Secret.COM:80 \t\r\nX: \xff\xc3\xa9\t \x80\r\nY:\r\n\r\n')),
    ['GET / | http secret.com:80 11 none keep | x \xff\xc3\xa9\t \x80 y  |  |  | end'],
    'H8 H11 H18: blanks trimmed, host in lower case, bytes kept',
  );
  t.same(
    told(request(`GET HTTP://A:80?q HTTP/1.1\r\nHost: a\r\n\r\n`)),
    ['GET /?q | http a:80 11 none keep |  |  |  | end'],
    'H17: absolute target, default port',
  );
  t.same(
    told(
      request(
        'OPTIONS https://[FE80::1]:1 HTTP/1.1\r\nHost: [fe80::1]:1\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a:\r\n\r\n',
      ),
    ),
    ['OPTIONS * | https [fe80::1]:1 11 none keep |  |  |  | end', 'OPTIONS * | http a 11 none keep |  |  |  | end'],
  );
  t.same(
    told(request(`\r\n${GET}\r\n\r\nx!y /%00/;a?b|c"d\\ HTTP/1.7\r\nHost: a\r\n\r\n`)),
    [`GET / | ${keep} |  |  |  | end`, `x!y /%00/;a?b|c"d\\ | ${keep} |  |  |  | end`],
    'one empty line, any token, a later minor version',
  );
  t.same(
    told(request('GET / HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n')),
    ['GET / | http  10 none close |  |  |  | end', 'rest GET /2 HTTP/1.0\r\n\r\n'],
    'H20: HTTP/1.0 closes',
  );
  t.same(
    told(
      request(
        'POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\nExpect: 100-continue\r\nUpgrade: x\r\n\r\nb',
      ),
    ),
    ['POST / | http a 10 length=1 keep | expect 100-continue | b |  | end'],
    'HTTP/1.0 knows neither Expect nor Upgrade',
  );
  t.same(told(request(`${POST}Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n`)), [
    'POST / | http a 11 length=1 keep expect | expect 100-Continue |  |  | open',
  ]);
  t.same(told(request('CONNECT A:443 HTTP/1.1\r\nHost: a:443\r\n\r\nTUNNEL')), [
    'CONNECT a:443 | http a:443 11 none keep |  |  |  | end',
    'rest TUNNEL',
  ]);
});

t.test('fields of one hop go into the model and no further (H24, H25, H26)', async (t) => {
  t.same(
    told(
      request(
        `${GET}Connection: x-foo-bar, close, Host, X-Forwarded-Client-Cert, content-length\r\nX-Foo-Bar: 1\r\nX-Forwarded-Client-Cert: by\r\nKeep-Alive: timeout=1\r\nProxy-Connection: keep-alive\r\nTE: gzip, trailers\r\nX: y\r\n\r\n`,
      ),
    ),
    ['GET / | http a 11 none close | x-forwarded-client-cert by x y te trailers |  |  | end'],
  );
  t.same(told(request(`${GET}TE: gzip\r\nConnection: te\r\n\r\n`)), ['GET / | http a 11 none keep |  |  |  | end']);
  t.same(told(request(`${GET}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n`)), [
    'GET / | http a 11 none keep |  |  |  | end',
  ]);
  t.same(
    told(
      request(`${GET}Connection: keep-alive, Upgrade\r\nUpgrade: h2c, websocket\r\nSec-WebSocket-Version: 777\r\n\r\n`),
    ),
    ['GET / | http a 11 none keep upgrade=websocket | sec-websocket-version 777 |  |  | end'],
  );
  t.same(
    told(request(`${GET}Upgrade: websocket\r\n\r\n`)),
    ['GET / | http a 11 none keep |  |  |  | end'],
    'without the connection option',
  );
});

t.test('look-alikes of framing fields frame nothing', async (t) => {
  t.same(
    told(
      request(
        `${POST}Transfer_Encoding: chunked\r\nContent-Encoding: chunked\r\nContent-Length-X: 9\r\nContent-Length: 1\r\n\r\nb`,
      ),
    ),
    [
      'POST / | http a 11 length=1 keep | transfer_encoding chunked content-encoding chunked content-length-x 9 | b |  | end',
    ],
  );
});

t.test('limits of a head refuse with the kind that names them, also when it trickles in', async (t) => {
  const limits = { maxHeadBytes: 400, maxFields: 3, maxTargetBytes: 100 };
  const everyWay = (text: string): string[] => {
    const input = latin1(text);
    const outcomes = [[], ...cutsOf(input.length)].map((cuts) => verdict(readRequests(input, cuts, limits)));
    return [...new Set(outcomes)];
  };
  t.same(everyWay(`GET /${'a'.repeat(99)} HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 1\r\n\r\n`), ['accepted after 1']);
  t.same(everyWay(`GET /${'a'.repeat(100)} HTTP/1.1\r\nHost: a\r\n\r\n`), ['uri-too-long after 0']);
  t.same(everyWay(`GET /${'a'.repeat(380)}`), ['uri-too-long after 0'], 'before the line ends');
  t.same(everyWay(`${GET}X: 1\r\nY: 1\r\nZ: 1\r\n\r\n`), ['headers-too-large after 0']);
  t.same(everyWay(`${GET}X: ${'v'.repeat(400 - GET.length - 7)}\r\n\r\n`), ['accepted after 1'], 'exactly the limit');
  t.same(everyWay(`${GET}X: ${'v'.repeat(400 - GET.length - 6)}\r\n\r\n`), ['headers-too-large after 0']);
  t.same(everyWay(`${GET}${'n'.repeat(400)}`), ['headers-too-large after 0']);
  t.same(
    everyWay(`${CHUNKED}0\r\n${'T: 12345678\r\n'.repeat(4)}\r\n`),
    ['headers-too-large after 1'],
    'H16: trailers share the limits',
  );
});

t.test('chunk extensions of one message are bounded together (H14)', async (t) => {
  const chunks = `1;${'e'.repeat(199)}\r\nx\r\n`;
  t.equal(verdict(request(`${CHUNKED}${chunks.repeat(80)}0\r\n\r\n`)), 'accepted after 1');
  t.equal(verdict(request(`${CHUNKED}${chunks.repeat(90)}0\r\n\r\n`)), 'bad-request after 1');
  t.equal(verdict(request(`${CHUNKED}5;${'e'.repeat(70_000)}`)), 'bad-request after 1');
});

t.test('60,000 chunks of one byte keep nothing in the parser (H30)', async (t) => {
  const outcome = readRequests(latin1(`${CHUNKED}${'1\r\nx\r\n'.repeat(60_000)}0\r\n\r\n`));
  t.equal(outcome.messages[0]!.body.length, 60_000);
  t.equal(outcome.end, 'idle');
});

/** A 101 with that head, to a request that offered two protocols. */
function switched(head: string): string {
  return verdict(response(`HTTP/1.1 101 x\r\n${head}\r\n`, ['GET'], 'websocket, other'));
}

t.test('an answer that could split is refused (H10, H22, H25, H28)', async (t) => {
  t.same(
    REFUSED_ANSWERS.map((input) => [input, verdict(response(input))]),
    REFUSED_ANSWERS.map((input) => [input, 'upstream-protocol-error after 0']),
  );
  t.same(
    [
      'Connection: upgrade\r\nUpgrade: h2c\r\n',
      'Upgrade: websocket\r\n',
      'Connection: upgrade\r\n',
      'Connection: upgrade\r\nUpgrade: websocket, other\r\n',
    ].map(switched),
    [
      'upstream-protocol-error after 0',
      'upstream-protocol-error after 0',
      'upstream-protocol-error after 0',
      'upstream-protocol-error after 0',
    ],
  );
  t.equal(
    verdict(response(`${OK}X: ${'v'.repeat(DEFAULT_LIMITS.maxHeadBytes)}\r\n\r\n`)),
    'response-headers-too-large after 0',
  );
  t.equal(verdict(response('HTTP/1.1 103 x\r\n\r\n'.repeat(32))), 'accepted after 32');
  t.equal(verdict(response('HTTP/1.1 103 x\r\n\r\n'.repeat(33))), 'upstream-protocol-error after 32');
});

t.test('an answer ends where its request and status say (H21, H22, H25, H27)', async (t) => {
  const two = ['HEAD', 'GET'];
  t.same(told(response(`${OK}Content-Length: 9\r\n\r\n${OK}Content-Length: 2\r\n\r\nhi`, two)), [
    '200 OK | 11 none keep declared=9 |  |  |  | end',
    '200 OK | 11 length=2 keep |  | hi |  | end',
  ]);
  t.same(told(response('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello')), [
    '204 No Content | 11 none close |  |  |  | end',
    'rest hello',
  ]);
  t.same(told(response('HTTP/1.1 304 x\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n')), [
    '304 x | 11 none keep declared=5 | etag "a" |  |  | end',
  ]);
  t.same(
    told(
      response(
        `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
      ),
    ),
    [
      '100 Continue | 11 interim |  |  |  | end',
      '103 Early Hints | 11 interim | link <a> |  |  | end',
      '200 OK | 11 length=0 keep |  |  |  | end',
    ],
  );
  t.same(
    told(
      response(
        'HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: z\r\n\r\n\x81\x00',
        ['GET'],
        'websocket',
      ),
    ),
    ['101 x | 11 none close upgrade=WebSocket | sec-websocket-accept z |  |  | end', 'rest \x81\x00'],
  );
  t.same(
    told(
      response(
        `${OK}Transfer-Encoding: chunked\r\nKeep-Alive: timeout=5, max=9\r\n\r\n2\r\nhi\r\n0\r\nGrpc-Status: 0\r\n\r\n`,
      ),
    ),
    ['200 OK | 11 chunked keep |  | hi | grpc-status 0 | end'],
  );
  t.same(told(response('HTTP/1.1 200\r\n\r\nuntil close')), ['200  | 11 until-close close |  | until close |  | open']);
});

t.test('the end of a connection completes only a body that ends with it (H27)', async (t) => {
  t.same(
    [
      '',
      'HTTP/1.1 200 OK\r\nX:',
      `${OK}Content-Length: 50\r\n\r\nhello`,
      `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
      `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n`,
      `${OK}\r\nbody`,
      `${OK}Content-Length: 2\r\n\r\nhi`,
    ].map((text) => readResponses(latin1(text)).end),
    ['truncated', 'truncated', 'truncated', 'truncated', 'truncated', 'complete', 'complete'],
  );
});
