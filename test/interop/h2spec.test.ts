/**
 * h2spec against both listeners of real workers: where an application comes in, and where peers do.
 */
import { execFile } from 'node:child_process';
import t from 'tap';
import { TestAuthority } from '../support/identities.ts';
import type { Wire } from '../support/raw-http.ts';
import { findTool } from '../support/tools.ts';
import { workerMesh } from '../support/worker-mesh.ts';
import { readRequests } from '../wire/h1/recorder.ts';

const authority = new TestAuthority();
const POD = '127.0.0.41';
const h2spec = findTool('h2spec');
const skip = h2spec === null && 'h2spec is not here: npm run tools builds it where Go is';

/**
 * All but one case. Both listeners take HTTP/1.1 as well, so what does not begin as HTTP/2 is no preface gone wrong, but a bad request:
 * answered 400 in HTTP/1.1, and closed. `test/stack/h2-interop.test.ts` has that case with a listener for HTTP/2 alone.
 */
const EXPECTED = /^(?:.*Sends invalid connection preface.*\n)*\s*145 tests, 144 passed, 0 skipped, 1 failed$/;

/** Answers each whole request. */
function answer(wire: Wire): void {
  let answered = 0;
  wire.socket.on('data', () => {
    const whole = readRequests(Buffer.from(wire.text, 'latin1')).messages.filter((message) => message.complete).length;
    for (; answered < whole; answered++) wire.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello');
  });
}

/** The last line, and every case that failed. h2spec ends with 1 when one did. */
function run(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    execFile(h2spec ?? '', ['-h', host, '-p', String(port), '-o', '2'], (_error, stdout) => {
      const failed = stdout
        .replaceAll('\r', '\n')
        .split('\n')
        .filter((line) => line.includes('×'));
      resolve([...failed, /\d+ tests, .*/.exec(stdout)?.[0] ?? stdout].join('\n'));
    });
  });
}

t.setTimeout(120_000);

t.test('h2spec finds nothing wrong with either listener', { skip }, async (t) => {
  const { app, client } = await workerMesh(t, { authority, podAddress: POD, mode: 'PERMISSIVE' }, answer);
  t.match(await run('127.0.0.1', await client.port('echo:80')), EXPECTED, 'outbound');
  t.match(await run(POD, app.port), EXPECTED, 'inbound');
});
