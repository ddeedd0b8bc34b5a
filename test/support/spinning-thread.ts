/** A worker thread that opens at once and then is busy for as long as its pod's name says, in milliseconds. Test-only. */
import { parentPort, workerData } from 'node:worker_threads';
import type { FromThread, ThreadData, ToThread } from '../../proxy/worker/thread.ts';

const { settings, memory } = workerData as ThreadData;
const port = parentPort;
const post = (message: FromThread): void => port?.postMessage(message);

const STATE = {
  identity: '',
  listeners: [],
  destinations: new Map(),
  clusters: [],
  connections: { inbound: 1, outbound: 0 },
};

port?.on('message', (message: ToThread) => {
  if (message.kind === 'open') post({ kind: 'opened', problems: [] });
  if (message.kind === 'close') port.close();
  if (message.kind === 'describe') {
    const endMs = performance.now() + (memory.slot === 0 ? Number(settings.pod.name) : 0);
    while (performance.now() < endMs);
    post({ kind: 'described', id: message.id, state: STATE });
  }
});
