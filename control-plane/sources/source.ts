/**
 * What a source of objects is, whether it reads a folder or asks an API server.
 * Knows neither.
 */
import type { Problem } from '#base/problems.ts';
import type { ObjectEvent } from './world.ts';

export interface SourceProblem extends Problem {
  /** `TrafficPolicy shop/reviews`; empty when the problem is not about one object. */
  readonly object: string;
}

/** All that is wrong at present; each report replaces the one before. */
export interface SourceProblems {
  readonly list: readonly SourceProblem[];
  /** How many more there are than are listed. */
  readonly dropped: number;
}

export interface Source {
  /**
   * Begins to read and to watch. Resolves when everything was read once and reported; never rejects because of what was read.
   * A batch holds at most one event for an object; problems are reported after the batch they came with, and only when they changed.
   */
  start(
    onBatch: (events: readonly ObjectEvent[]) => void,
    onProblems: (problems: SourceProblems) => void,
  ): Promise<void>;
  /** Nothing is reported after this was called. */
  close(): Promise<void>;
}
