/** Peers that are gone without a word, on opaque connections that nobody writes to: found by keep-alive, at every place where one can be. */
import path from 'node:path';
import t from 'tap';
import { namespacesMissing, openNamespace } from '../support/netns.ts';

/** TCP counts in seconds: asked after two, then three times a second apart. */
const KEEP_ALIVE_MS = 2000;
const FOUND_MS = 5000;

t.setTimeout(60_000);

t.test('whoever is cut off is found in the time that is said', { skip: namespacesMissing() }, async (t) => {
  const namespace = openNamespace();
  t.teardown(() => namespace.remove());
  const probe = path.join(import.meta.dirname, 'keep-alive-probe.ts');
  const { stdout, stderr } = namespace.run('timeout', '50', process.execPath, probe, String(KEEP_ALIVE_MS));
  const found = stdout.split('\n').filter((line) => line !== '');
  const times = found.map((line) => JSON.parse(line) as { what: string; tookMs: number });
  t.same(
    times.map(({ what }) => what),
    ['endpoint', 'peer', 'client', 'peer-client'],
    stderr,
  );
  for (const { what, tookMs } of times) {
    t.ok(tookMs > KEEP_ALIVE_MS / 2 && tookMs < FOUND_MS + 2500, `${what}: ${tookMs} ms`);
  }
});
