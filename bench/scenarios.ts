/**
 * What is measured, as data. Budgets are those of the design, against the peer in the same run.
 */
import type { Scenario } from './lib/scenario.ts';

const CLOSED = { streams: 1, rate: 0 } as const;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'h1-one-hop',
    title: 'HTTP/1.1 plain, one hop, 50 connections',
    protocol: 'http1',
    hops: 1,
    connections: 50,
    ...CLOSED,
    contenders: ['tulle', 'nginx', 'haproxy', 'envoy'],
    budgets: [{ peer: 'nginx', of: 'cpu', atMost: 1.5 }],
  },
  {
    name: 'h1-two-hops-mtls',
    title: 'HTTP/1.1, two hops with mutual TLS between them, 50 connections',
    protocol: 'http1',
    hops: 2,
    connections: 50,
    ...CLOSED,
    contenders: ['tulle', 'nginx', 'haproxy', 'envoy'],
    budgets: [
      { peer: 'nginx', of: 'cpu', atMost: 1 },
      { peer: 'envoy', of: 'cpu', atMost: 0.6 },
    ],
  },
  {
    name: 'h2-one-hop',
    title: 'HTTP/2 plain, one hop, 4 connections x 16 streams',
    protocol: 'http2',
    hops: 1,
    connections: 4,
    streams: 16,
    rate: 0,
    contenders: ['tulle', 'haproxy', 'nghttpx', 'envoy'],
    budgets: [
      { peer: 'haproxy', of: 'cpu', atMost: 1.3 },
      { peer: 'envoy', of: 'cpu', atMost: 0.6 },
    ],
  },
  {
    name: 'h2-two-hops-mtls',
    title: 'HTTP/2, two hops with mutual TLS between them, 4 connections x 16 streams',
    protocol: 'http2',
    hops: 2,
    connections: 4,
    streams: 16,
    rate: 0,
    contenders: ['tulle', 'haproxy', 'envoy'],
    budgets: [
      { peer: 'haproxy', of: 'cpu', atMost: 1.3 },
      { peer: 'envoy', of: 'cpu', atMost: 0.6 },
    ],
  },
  {
    name: 'grpc-one-hop',
    title: 'gRPC unary calls, one hop, 4 connections x 16 streams',
    protocol: 'grpc',
    hops: 1,
    connections: 4,
    streams: 16,
    rate: 0,
    contenders: ['tulle', 'haproxy', 'envoy'],
    budgets: [
      { peer: 'haproxy', of: 'cpu', atMost: 1.3 },
      { peer: 'envoy', of: 'cpu', atMost: 0.6 },
    ],
  },
  {
    name: 'grpc-two-hops-mtls',
    title: 'gRPC unary calls, two hops with mutual TLS between them, 4 connections x 16 streams',
    protocol: 'grpc',
    hops: 2,
    connections: 4,
    streams: 16,
    rate: 0,
    contenders: ['tulle', 'haproxy', 'envoy'],
    budgets: [
      { peer: 'haproxy', of: 'cpu', atMost: 1.3 },
      { peer: 'envoy', of: 'cpu', atMost: 0.6 },
    ],
  },
  {
    name: 'tcp-bytes-mtls',
    title: 'Opaque TCP, two hops with mutual TLS, 4 downloads at once; each MiB counts as a request',
    protocol: 'bytes',
    hops: 2,
    connections: 4,
    ...CLOSED,
    contenders: ['tulle', 'haproxy', 'envoy'],
    budgets: [{ peer: 'haproxy', of: 'cpu', atMost: 1.25 }],
  },
  {
    name: 'tcp-connections-mtls',
    title: 'Opaque TCP, two hops, each connection one byte and a full mutual TLS handshake of its own',
    protocol: 'connections',
    hops: 2,
    connections: 8,
    ...CLOSED,
    contenders: ['tulle', 'haproxy', 'envoy'],
    budgets: [],
  },
  {
    name: 'latency-two-hops-mtls',
    title: 'HTTP/1.1, two hops with mutual TLS, 1,000 requests a second on 20 connections',
    protocol: 'http1',
    hops: 2,
    connections: 20,
    streams: 1,
    rate: 1000,
    contenders: ['tulle', 'envoy'],
    budgets: [
      { peer: 'envoy', of: 'p50', atMost: 1 },
      { peer: 'envoy', of: 'p99', atMost: 1 },
    ],
  },
];
