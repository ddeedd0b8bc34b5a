/**
 * Which workers use which destination, so that one is let go only when none does. A worker says again and again that a destination is
 * idle; one that has fallen silent about it uses it again. Knows no thread; time is an argument.
 */

/** Longer than the time between two words of a worker about the same destination. */
const SAID_MS = 25_000;
/** More than a worker itself follows. */
const MAX_DESTINATIONS = 100_000;

export class Usage {
  /** By destination and worker: when it was last said to be idle; -Infinity: in use. */
  readonly #byDestination = new Map<string, Map<number, number>>();

  want(destination: string, slot: number): void {
    let users = this.#byDestination.get(destination);
    if (users === undefined) {
      if (this.#byDestination.size >= MAX_DESTINATIONS) return;
      this.#byDestination.set(destination, (users = new Map()));
    }
    users.set(slot, Number.NEGATIVE_INFINITY);
  }

  /** True: nobody uses it now. */
  idle(destination: string, slot: number, nowMs: number): boolean {
    const users = this.#byDestination.get(destination);
    if (users === undefined) return true;
    users.set(slot, nowMs);
    for (const saidMs of users.values()) if (nowMs - saidMs > SAID_MS) return false;
    return true;
  }

  released(destination: string): void {
    this.#byDestination.delete(destination);
  }

  /** A worker is gone; the destinations that only it used. */
  forget(slot: number): string[] {
    const orphans: string[] = [];
    for (const [destination, users] of this.#byDestination) {
      if (users.delete(slot) && users.size === 0) orphans.push(destination);
    }
    for (const destination of orphans) this.#byDestination.delete(destination);
    return orphans;
  }
}
