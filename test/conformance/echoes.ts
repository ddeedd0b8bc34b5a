/**
 * The echo applications of the suite's mesh in this process, for HTTP/1.1 and for gRPC, and the EndpointSlices that say where they are.
 * What one is asked it answers as JSON, with its name. Knows no case.
 */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import http2, { type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import type { Test } from 'tap';

/** What an application says it was asked. */
export interface Echoed {
  readonly pod: string;
  readonly path: string;
  /** Names and values in turn; names in lower case. */
  readonly fields: readonly string[];
}

export const NAMESPACE = 'gateway-conformance-mesh';
const PODS = ['echo-v1', 'echo-v2'];

function echoed(pod: string, { url = '', rawHeaders }: IncomingMessage | Http2ServerRequest): Buffer {
  const fields = rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
  return Buffer.from(JSON.stringify({ pod, path: url, fields } satisfies Echoed));
}

function answerHttp(pod: string): (asked: IncomingMessage, answer: ServerResponse) => void {
  return (asked, answer) => void answer.end(echoed(pod, asked));
}

/** One message, whatever the call was. */
function answerGrpc(pod: string): (asked: Http2ServerRequest, answer: Http2ServerResponse) => void {
  return (asked, answer) => {
    const message = echoed(pod, asked);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    answer.setHeader('content-type', 'application/grpc');
    answer.addTrailers({ 'grpc-status': '0' });
    answer.end(Buffer.concat([prefix, message]));
  };
}

async function listen(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

function slice(service: string, pod: string, httpPort: number, grpcPort: number): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service}-of-${pod}`,
      namespace: NAMESPACE,
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType: 'IPv4',
    ports: [
      { name: 'http', port: httpPort },
      { name: 'http-alt', port: httpPort },
      { name: 'grpc', port: grpcPort },
    ],
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
  };
}

/** Starts them for as long as the test runs. @returns their EndpointSlices, for the Services of both and for that of each */
export async function startEchoes(t: Test): Promise<string> {
  const slices: object[] = [];
  for (const pod of PODS) {
    const httpPort = await listen(t, http.createServer(answerHttp(pod)));
    const grpcPort = await listen(t, http2.createServer(answerGrpc(pod)));
    slices.push(slice(pod, pod, httpPort, grpcPort), slice('echo', pod, httpPort, grpcPort));
  }
  return slices.map((object) => JSON.stringify(object)).join('\n---\n');
}
