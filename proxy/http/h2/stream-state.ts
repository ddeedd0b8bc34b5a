/**
 * The life of a stream as RFC 9113 5.1 draws it, as a table. Reserved states are left out: push is refused on both sides.
 * Knows no frame and no number; who asks decides what an event out of place means.
 */

export const STATE = { idle: 0, open: 1, halfClosedLocal: 2, halfClosedRemote: 3, closed: 4 } as const;
export type StreamState = (typeof STATE)[keyof typeof STATE];

export const EVENT = { sendHead: 0, receiveHead: 1, sendEnd: 2, receiveEnd: 3, reset: 4 } as const;
export type StreamEvent = (typeof EVENT)[keyof typeof EVENT];

/** The event may not happen in that state. */
export const INVALID = -1;

const { open, halfClosedLocal, halfClosedRemote, closed } = STATE;
const no = INVALID;

/** One row a state, one column an event. */
const NEXT: readonly (StreamState | typeof INVALID)[] = [
  // sendHead          receiveHead      sendEnd          receiveEnd        reset
  ...[open, open, no, no, no],
  ...[open, open, halfClosedLocal, halfClosedRemote, closed],
  ...[no, halfClosedLocal, no, closed, closed],
  ...[halfClosedRemote, no, closed, no, closed],
  ...[no, no, no, no, closed],
] as const;

const EVENTS = 5;

/** The state after `event`, or INVALID. */
export function nextState(state: StreamState, event: StreamEvent): StreamState | typeof INVALID {
  return NEXT[state * EVENTS + event]!;
}

/** HEADERS and DATA of the peer may still come. */
export function canReceive(state: StreamState): boolean {
  return state === open || state === halfClosedLocal;
}

/** HEADERS and DATA of ours may still go. */
export function canSend(state: StreamState): boolean {
  return state === open || state === halfClosedRemote;
}
