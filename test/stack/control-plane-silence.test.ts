/**
 * Connections to the gRPC port that say nothing, or too little, are closed in time; those that are used stay.
 */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { TYPE } from '#api/names.ts';
import { systemClock } from '#base/clock.ts';
import { DEFAULT_KEEP_ALIVE } from '../../control-plane/serve/server.ts';
import { playedServer } from '../support/played-server.ts';

const HANDSHAKE_MS = 400;
const KEEP_ALIVE = { intervalMs: 300, timeoutMs: 300 };
/** On a machine that is busy. */
const SLACK_MS = 3000;

/** Milliseconds until the server has closed it. */
async function closedAfter(socket: Socket): Promise<number> {
  const sinceMs = systemClock.now();
  // A reset is an end too: `once` would throw at it.
  socket.on('error', () => undefined).resume();
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return systemClock.now() - sinceMs;
}

function tcp(address: string): Socket {
  return connectTcp(Number(address.split(':')[1]), '127.0.0.1');
}

t.test('a TLS handshake ends in time, or the connection does', async (t) => {
  const { address, delta, change } = await playedServer(t, 100, DEFAULT_KEEP_ALIVE, HANDSHAKE_MS);
  const stream = delta();
  stream.subscribe(TYPE.cluster, 'a');
  t.equal(await stream.said(), 'cluster: -a');
  const silent = tcp(address);
  const dripping = tcp(address);
  // A record of TLS 1.0 to 1.3 that announces a ClientHello of 508 bytes.
  const hello = Buffer.concat([Buffer.from('160301020001000001fc0303', 'hex'), Buffer.alloc(500)]);
  let at = 0;
  const drip = setInterval(() => dripping.write(hello.subarray(at, ++at)), 40);
  t.teardown(() => clearInterval(drip));
  for (const endedMs of await Promise.all([closedAfter(silent), closedAfter(dripping)])) {
    t.ok(endedMs >= HANDSHAKE_MS - 50 && endedMs < HANDSHAKE_MS + SLACK_MS, `closed after ${Math.round(endedMs)} ms`);
  }
  stream.answer();
  change(TYPE.cluster, 'a', 1);
  t.equal(await stream.said(), 'cluster: a', 'who had been there is served');
});

t.test('after the handshake who says nothing is asked, and closed when no answer comes', async (t) => {
  const { address, authority, delta, change } = await playedServer(t, 100, KEEP_ALIVE);
  const stream = delta();
  stream.subscribe(TYPE.cluster, 'a');
  t.equal(await stream.said(), 'cluster: -a');
  const socket = connectTls({
    socket: tcp(address),
    ca: authority.trustBundle,
    servername: 'localhost',
    ALPNProtocols: ['h2'],
  });
  await once(socket, 'secureConnect');
  const endedMs = await closedAfter(socket);
  const boundMs = KEEP_ALIVE.intervalMs + KEEP_ALIVE.timeoutMs;
  t.ok(endedMs < boundMs + SLACK_MS, `closed after ${Math.round(endedMs)} ms`);
  stream.answer();
  change(TYPE.cluster, 'a', 1);
  t.equal(await stream.said(), 'cluster: a', 'a stream on which nothing happened for as long is served');
});
