/** An application that has no room for a new connection just now: its sidecar waits for it as long as TCP would, for there is no other. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startFolderMesh } from '../../support/folder-mesh.ts';
import { startFolderSidecar } from '../../support/folder-sidecar.ts';
import { openWire } from '../../support/raw-http.ts';
import { service } from '../policies/rig.ts';

const ADDRESS = '127.0.0.77';
/** Linux tries again after a second, and then again: room that the second try does not find must still be waited for. */
const STOPPED_MS = 1200;
/** An accept queue of this takes one more. */
const BACKLOG = 1;
const APP = `
const server = require('node:net').createServer((socket) => {
  socket.on('error', () => {}).on('data', () => socket.write('HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok'));
});
server.listen({ port: 0, host: '127.0.0.1', backlog: ${BACKLOG} }, () => console.log(server.address().port));
`;

t.test('a request for an application whose accept queue is full is answered when there is room', async (t) => {
  const app = spawn(process.execPath, ['-e', APP], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => app.kill('SIGKILL'));
  const port = Number((await once(app.stdout, 'data')) as [Buffer]);
  const folder = mkdtempSync(join(tmpdir(), 'tulle-queue-'));
  const mesh = await startFolderMesh(folder, { 'mesh.yaml': service('echo', ADDRESS, port) });
  const pod = { namespace: 'shop', name: 'echo-1', owner: 'echo', serviceAccount: 'echo' };
  const sidecar = await startFolderSidecar(mesh, pod, { outbound: null, podAddresses: [ADDRESS] });
  t.teardown(async () => {
    await sidecar.close();
    await mesh.close();
    rmSync(folder, { recursive: true });
  });
  while (sidecar.port('inbound') === 0) await sidecar.settled();

  app.kill('SIGSTOP');
  const queued = await Promise.all(Array.from({ length: BACKLOG + 1 }, () => openWire(port)));
  const client = await openWire(port, ADDRESS);
  client.write('GET / HTTP/1.1\r\nHost: echo.shop\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, STOPPED_MS));
  t.equal(client.text, '', 'nothing is said while there is hope');
  app.kill('SIGCONT');
  t.match(await client.includes('\r\n\r\n'), /^HTTP\/1\.1 200 /);
  for (const wire of [client, ...queued]) wire.socket.destroy();
});
