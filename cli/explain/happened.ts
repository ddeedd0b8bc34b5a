/**
 * What did happen to a request: the recollections of all sidecars that saw it, joined by who called whom. Decides nothing.
 * Knows the admin page that tells them; how the sidecars are found is the caller's.
 */
import { ask } from '../admin/ask.ts';
import type { ExchangeFacts } from '../../proxy/worker/recent.ts';

/** A sidecar that can be asked. */
export interface Witness {
  /** `namespace/pod`, or the address when that is all that is known. */
  readonly name: string;
  /** `ADDRESS:PORT` of its admin port. */
  readonly adminAddress: string;
}

/** One exchange, as the sidecar that carried it remembers it. */
export interface Sighting extends ExchangeFacts {
  readonly seenBy: string;
}

export interface Recollection {
  /** In the order in which they began; a call stands behind the request that caused it. */
  readonly sightings: readonly Sighting[];
  readonly silent: readonly string[];
}

const PATIENCE_MS = 5000;

/** @param id of a request or a trace; empty: what went wrong or was tried again lately */
export async function recollect(witnesses: readonly Witness[], id: string): Promise<Recollection> {
  const silent: string[] = [];
  const told = await Promise.all(
    witnesses.map(async ({ name, adminAddress }) => {
      const answer = await ask(`http://${adminAddress}/requests?id=${encodeURIComponent(id)}`, PATIENCE_MS);
      if (answer?.status !== 200) silent.push(name);
      const facts = answer?.status === 200 ? (JSON.parse(answer.body) as readonly ExchangeFacts[]) : [];
      return facts.map((fact) => Object.assign(fact, { seenBy: name }));
    }),
  );
  return { sightings: told.flat().toSorted(inOrder), silent };
}

/** The caller's side first when both began in the same millisecond. */
function inOrder(a: Sighting, b: Sighting): number {
  const began = a.startWallMs - b.startWallMs;
  return began !== 0 ? began : Number(a.direction === 'inbound') - Number(b.direction === 'inbound');
}
