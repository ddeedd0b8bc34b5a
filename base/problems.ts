/**
 * Collects everything that is wrong with one input, so that its author learns all of it at once.
 * Knows paths and sentences, not what the input is (a manifest, an xDS resource, flags).
 */

/** Where in a text a problem stands; lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong, said for the person who can mend it. */
export interface Problem {
  /** Path of the field, as in `spec.retries.on[2]`; empty for the whole input. */
  readonly path: string;
  /** What is wrong, in a sentence without final stop. */
  readonly reason: string;
  /** What would be right, in a sentence without final stop; empty when there is nothing to add. */
  readonly advice: string;
  readonly place?: Place | undefined;
}

/** Problems are collected, never thrown. At most `limit` are kept; the rest is counted. */
export class Problems {
  readonly list: Problem[] = [];
  readonly #limit: number;
  #dropped = 0;

  constructor(limit = 100) {
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.list.length === 0;
  }

  /** How many problems were left out because of the limit. */
  get dropped(): number {
    return this.#dropped;
  }

  add(path: string, reason: string, advice = '', place?: Place): void {
    if (this.list.length >= this.#limit) this.#dropped++;
    else this.list.push({ path, reason, advice, place });
  }

  addAll(problems: Iterable<Problem>): void {
    for (const p of problems) this.add(p.path, p.reason, p.advice, p.place);
  }
}

/** One line for a person: `file.yaml:12:5: spec.retries.attempts: must be an integer (write 0 to 10)`. */
export function formatProblem(problem: Problem): string {
  const { place, path, reason, advice } = problem;
  const where = place === undefined ? '' : `${place.file}:${place.line}:${place.column}: `;
  return `${where}${path === '' ? '' : `${path}: `}${reason}${advice === '' ? '' : ` (${advice})`}`;
}

/** All problems as lines, with a last line for those over the limit. */
export function formatProblems(problems: Problems): string {
  const lines = problems.list.map(formatProblem);
  if (problems.dropped > 0) lines.push(`and ${problems.dropped} more`);
  return lines.join('\n');
}
