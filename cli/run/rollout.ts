/**
 * From what a Deployment wants and what runs, what to start and what to end next. Pure; asked again after every change.
 * Rolling as Kubernetes does with maxSurge 1 and maxUnavailable 0: a new replica first, an old one only when the new one is ready.
 */
export interface Running {
  readonly name: string;
  readonly revision: string;
  readonly ready: boolean;
}

export interface Steps {
  /** How many replicas of the wanted revision to start. */
  readonly start: number;
  /** Names of replicas to end. */
  readonly end: readonly string[];
}

const SURGE = 1;

/** `running` holds replicas that were not told to end, oldest first. */
export function nextSteps(replicas: number, revision: string, running: readonly Running[]): Steps {
  const current = running.filter((r) => r.revision === revision);
  const old = running.filter((r) => r.revision !== revision);
  const missing = replicas - current.length;
  const room = Math.max(0, replicas + (old.length > 0 ? SURGE : 0) - running.length);
  const start = Math.max(0, Math.min(missing, room));

  const surplus = current.slice(0).sort(unreadyFirst).slice(0, Math.max(0, -missing));
  // An old replica that is not ready serves nobody; of the ready ones, as many may go as there are ready ones to spare.
  const spare = running.filter((r) => r.ready).length - surplus.filter((r) => r.ready).length - replicas;
  const unreadyOld = old.filter((r) => !r.ready);
  const readyOld = old.filter((r) => r.ready).slice(0, Math.max(0, spare));
  return { start, end: [...surplus, ...unreadyOld, ...readyOld].map((r) => r.name) };
}

/** Unready ones first; among equals the newest, which has the coldest caches. */
function unreadyFirst(a: Running, b: Running): number {
  return Number(a.ready) - Number(b.ready);
}
