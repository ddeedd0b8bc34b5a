/**
 * What came out of a codec, short enough to be read in a table of vectors; and the same for every way to cut the input.
 */
import { cutsOf, type Outcome, readRequests, readResponses } from './recorder.ts';

export function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** The outcome, or `cut: ...` when it depends on how the bytes came. */
function judged(input: Buffer, read: (input: Buffer, cuts?: readonly number[]) => Outcome): Outcome | string {
  const whole = read(input);
  if (input.length > 600) return whole;
  const text = JSON.stringify(whole);
  const different = cutsOf(input.length).find((cuts) => JSON.stringify(read(input, cuts)) !== text);
  return different === undefined ? whole : `cut: ${JSON.stringify(read(input, different))}`;
}

export function request(text: string): Outcome | string {
  return judged(latin1(text), readRequests);
}

export function response(text: string, asked: readonly string[] = ['GET'], upgrade = ''): Outcome | string {
  return judged(latin1(text), (input, cuts) => readResponses(input, cuts, asked, upgrade));
}

/** Kind of the failure and how many messages came out before it: a refused message must not have begun. */
export function verdict(outcome: Outcome | string): string {
  if (typeof outcome === 'string') return outcome;
  return `${outcome.failure === '' ? 'accepted' : outcome.failure.split(':')[0]!} after ${outcome.messages.length}`;
}

/** `start | model | fields | body | trailers`, a line each message, and the rest. */
export function told(outcome: Outcome | string): string[] {
  if (typeof outcome === 'string') return [outcome];
  const lines = outcome.messages.map((message) =>
    [
      message.start,
      message.model,
      message.fields.join(' '),
      message.body,
      message.trailers.join(' '),
      message.complete ? 'end' : 'open',
    ].join(' | '),
  );
  if (outcome.failure !== '') lines.push(outcome.failure);
  return outcome.rest === '' ? lines : [...lines, `rest ${outcome.rest}`];
}
