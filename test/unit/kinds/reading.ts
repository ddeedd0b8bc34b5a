/** Runs a parser on a plain value and gives the object and its problems as lines. */
import { formatProblem, Problems } from '#base/problems.ts';
import type { ParseContext } from '../../../control-plane/kinds/object.ts';

export interface Reading<T> {
  readonly object: T | null;
  readonly lines: readonly string[];
}

export function reading<T>(parse: (value: unknown, context: ParseContext) => T | null, value: unknown): Reading<T> {
  const problems = new Problems();
  const object = parse(value, { problems, place: null, placeOf: () => null });
  return { object, lines: problems.list.map(formatProblem) };
}
