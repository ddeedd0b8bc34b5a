/**
 * Run inside a namespace whose rules send outbound connections here: connects to an address that does not exist, as another user
 * than the sidecar's, and prints where the accepted connection says it was going.
 */
import { connect, createServer } from 'node:net';
import { originalDestination } from '../../proxy/net/original-dst.ts';

const [listenAddress = '', port = '', target = '', targetPort = ''] = process.argv.slice(2);

const server = createServer((socket) => {
  process.stdout.write(`${JSON.stringify(originalDestination(socket))}\n`);
  socket.destroy();
  process.stdout.write(`${JSON.stringify(originalDestination(socket))}\n`);
  server.close();
});
server.listen(Number(port), listenAddress, () => {
  connect(Number(targetPort), target).on('error', () => undefined);
});
