/**
 * A proxyless gRPC client (@grpc/grpc-js-xds) resolves a service by name through our control plane and calls it.
 * Such a client knows neither our tokens nor certificates for its xDS channel, so it uses the plaintext port on loopback.
 */
import { Client, Server, ServerCredentials, credentials } from '@grpc/grpc-js';
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import t from 'tap';
import { serviceWithEndpoint, startFolderMesh } from '../support/folder-mesh.ts';

const PATH = '/echo.Echo/Say';

function bytes(buffer: Buffer): Buffer {
  return buffer;
}

async function startEcho(name: string): Promise<{ port: number; close: () => void }> {
  const server = new Server();
  const method = { path: PATH, requestStream: false, responseStream: false } as const;
  const codec = {
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
  server.addService(
    { Say: { ...method, ...codec } },
    {
      Say: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) =>
        reply(null, Buffer.concat([Buffer.from(`${name}:`), call.request])),
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, close: () => server.forceShutdown() };
}

function say(client: Client, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const deadline = new Date(Date.now() + 10_000);
    client.makeUnaryRequest(PATH, bytes, bytes, Buffer.from(text), { deadline }, (error, answer) =>
      error === null ? resolve(answer?.toString() ?? '') : reject(error),
    );
  });
}

t.test('a proxyless gRPC client finds a service, and follows when it moves', async (t) => {
  const [first, second] = [await startEcho('first'), await startEcho('second')];
  t.teardown(() => first.close());
  t.teardown(() => second.close());
  const files = { 'echo.yaml': serviceWithEndpoint('echo', 9000, 'kubernetes.io/h2c', first.port) };
  const mesh = await startFolderMesh(t.testdir(), files, { 'xds-plaintext-address': ['127.0.0.1:0'] });
  t.teardown(() => mesh.close());
  // Read when the package is loaded.
  process.env['GRPC_XDS_BOOTSTRAP_CONFIG'] = JSON.stringify({
    xds_servers: [
      { server_uri: mesh.plaintextAddress, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] },
    ],
    node: { id: 'proxyless-1', locality: { zone: '' } },
  });
  const { register } = await import('@grpc/grpc-js-xds');
  register();
  const client = new Client('xds:///echo.default.svc.cluster.local:9000', credentials.createInsecure());
  t.teardown(() => client.close());
  t.equal(await say(client, 'hi'), 'first:hi');
  mesh.write('echo.yaml', serviceWithEndpoint('echo', 9000, 'kubernetes.io/h2c', second.port));
  const deadline = Date.now() + 5000;
  let answer = '';
  while (!answer.startsWith('second') && Date.now() < deadline) answer = await say(client, 'hi again');
  t.equal(answer, 'second:hi again');
  t.same(mesh.warnings, [], 'and it has refused nothing');
});
