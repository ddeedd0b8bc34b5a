/**
 * What is measured, as data. Budgets are those of the design: CPU per request against the peer in the same run.
 */
import type { Scenario } from './lib/scenario.ts';

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'h1-one-hop',
    title: 'HTTP/1.1 plain, one hop, 50 connections',
    hops: 1,
    connections: 50,
    contenders: ['tulle', 'nginx', 'haproxy'],
    budgets: { nginx: 1.8 },
  },
  {
    name: 'h1-two-hops-mtls',
    title: 'HTTP/1.1, two hops with mutual TLS between them, 50 connections',
    hops: 2,
    connections: 50,
    contenders: ['tulle', 'nginx', 'haproxy'],
    budgets: { nginx: 1.6 },
  },
];
