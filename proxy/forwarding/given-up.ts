/**
 * Traces for which a hop of ours tried again in vain: whoever called us because of them need not try the whole tree once more.
 * The application between the two hops carries the trace in its headers, as it does for its spans; one that does not is not known here.
 * A table of fixed size in memory that workers may share; a place is taken by the last one that asked for it. Knows no request.
 */

/** Two cells each: which trace, and the second of the wall clock at which it gave up. */
const PLACES = 8192;
/** So long the answer may take on its way through the application. */
const MEMORY_S = 10;

export class GivenUp {
  readonly #cells: Int32Array;

  /** @param memory of `allocateGivenUp`; left out: of this thread alone */
  constructor(memory: SharedArrayBuffer = allocateGivenUp()) {
    this.#cells = new Int32Array(memory);
  }

  /** @param nowWallMs wall clock: that of other threads has the same origin */
  note(traceId: string, nowWallMs: number): void {
    const hash = hashOf(traceId);
    const at = placeOf(hash);
    Atomics.store(this.#cells, at, hash);
    Atomics.store(this.#cells, at + 1, seconds(nowWallMs));
  }

  has(traceId: string, nowWallMs: number): boolean {
    const hash = hashOf(traceId);
    const at = placeOf(hash);
    if (Atomics.load(this.#cells, at) !== hash) return false;
    return seconds(nowWallMs) - Atomics.load(this.#cells, at + 1) <= MEMORY_S;
  }
}

export function allocateGivenUp(): SharedArrayBuffer {
  return new SharedArrayBuffer(PLACES * 2 * Int32Array.BYTES_PER_ELEMENT);
}

function seconds(wallMs: number): number {
  return Math.trunc(wallMs / 1000);
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash | 0;
}

function placeOf(hash: number): number {
  return ((hash >>> 0) % PLACES) * 2;
}
