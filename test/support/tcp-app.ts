/**
 * A server of opaque protocols, to be run as a workload: `tcp-app.ts ECHO_PORT GREETING_PORT... -- TLS_PORT...`.
 * Echo ports send back what they get and end when the client does. Greeting ports speak first, with their own name, then echo;
 * `reset` makes them reset the connection. TLS ports greet inside TLS of their own. Test-only.
 */
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { TestAuthority } from './identities.ts';

const { POD_IP: host, HOSTNAME: name } = process.env;
const words = process.argv.slice(2);
const divider = words.indexOf('--');
const [echoPort, ...greetingPorts] = words.slice(0, divider).map(Number);
const options = { allowHalfOpen: true, noDelay: true };

function echo(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.pipe(socket);
}

function greet(socket: Socket): void {
  socket.write(`hello from ${name}\n`);
  socket.on('data', (chunk) => {
    if (chunk.includes('reset')) socket.resetAndDestroy();
  });
  echo(socket);
}

createServer(options, echo).listen(echoPort, host);
for (const port of greetingPorts) createServer(options, greet).listen(port, host);
const { certChainPem: cert, privateKeyPem: key } = new TestAuthority().identity('application');
for (const port of words.slice(divider + 1)) {
  createTlsServer({ cert, key, ALPNProtocols: ['postgresql'] }, greet).listen(Number(port), host);
}
