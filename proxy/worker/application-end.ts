/**
 * Tells when the application beside us has ended, from what a sidecar can see: its connections to us, and its own ports.
 * Knows neither listeners nor the drain that waits for it.
 */
import type { Clock, Timer } from '#base/clock.ts';

/** What is seen of the application. */
export interface ApplicationSigns {
  readonly clock: Clock;
  /** For how long no connection of the application has been open, in milliseconds; 0: one is. */
  readonly quietMs: () => number;
  /** Whether one of its ports takes connections; false when it has none. Asked only while it is quiet. */
  readonly isServing: () => Promise<boolean>;
}

const POLL_MS = 250;
/** An application that ends may still have something to say: so long after its last connection nothing is concluded. */
const QUIET_MS = 1000;

/** Calls `onEnd` once, when the application has been quiet for a second and serves nothing any more. Cancel it to give up. */
export function watchForEnd(signs: ApplicationSigns, onEnd: () => void): Timer {
  const { clock } = signs;
  const startedMs = clock.now();
  let asking = false;
  let over = false;
  // What was quiet before the watch began may have been told to end in the same moment as we.
  const isQuiet = (): boolean => Math.min(signs.quietMs(), clock.now() - startedMs) >= QUIET_MS;
  const look = async (): Promise<void> => {
    if (asking || !isQuiet()) return;
    asking = true;
    const serving = await signs.isServing();
    asking = false;
    if (serving || over || !isQuiet()) return;
    cancel();
    onEnd();
  };
  const timer = clock.every(POLL_MS, () => void look());
  const cancel = (): void => {
    over = true;
    timer.cancel();
  };
  return { cancel };
}
