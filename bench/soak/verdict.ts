/**
 * What the samples of a soak say: does memory grow, do descriptors stay open, did anything fail. Pure.
 */
export interface Sample {
  /** Since the beginning. */
  readonly seconds: number;
  readonly process: string;
  readonly rssMb: number;
  readonly descriptors: number;
}

export interface Bounds {
  /** Of resident memory, after the warm-up, in megabytes an hour. */
  readonly growthMbPerHour: number;
  /** Descriptors at the end above those at the end of the warm-up. */
  readonly descriptors: number;
}

export interface Trend {
  readonly process: string;
  readonly firstMb: number;
  readonly lastMb: number;
  readonly mbPerHour: number;
  readonly descriptorsBefore: number;
  readonly descriptorsAfter: number;
}

/** One for each process. @param warmUpSeconds samples before it do not count */
export function trends(samples: readonly Sample[], warmUpSeconds: number): Trend[] {
  const counted = samples.filter(({ seconds }) => seconds >= warmUpSeconds);
  return [...Map.groupBy(counted, ({ process }) => process)].map(([process, own]) => {
    const tenth = Math.max(1, Math.floor(own.length / 10));
    return {
      process,
      firstMb: mean(own.slice(0, tenth)),
      lastMb: mean(own.slice(-tenth)),
      mbPerHour: slope(own) * 3600,
      descriptorsBefore: fewest(own.slice(0, tenth)),
      descriptorsAfter: fewest(own.slice(-tenth)),
    };
  });
}

function mean(samples: readonly Sample[]): number {
  return samples.reduce((sum, { rssMb }) => sum + rssMb, 0) / samples.length;
}

/** Connections come and go within a sample: the fewest of several are those that stay. */
function fewest(samples: readonly Sample[]): number {
  return Math.min(...samples.map(({ descriptors }) => descriptors));
}

/** What breaks the bounds, as sentences. */
export function breaches(all: readonly Trend[], bounds: Bounds): string[] {
  return all.flatMap(({ process, mbPerHour, descriptorsBefore, descriptorsAfter }) => [
    ...(mbPerHour > bounds.growthMbPerHour ? [`${process} grows by ${mbPerHour.toFixed(1)} MB an hour`] : []),
    ...(descriptorsAfter > descriptorsBefore + bounds.descriptors
      ? [`${process} has ${descriptorsAfter} descriptors open, ${descriptorsBefore} before`]
      : []),
  ]);
}

/** Least squares, in megabytes a second. */
function slope(samples: readonly Sample[]): number {
  const n = samples.length;
  const meanX = samples.reduce((sum, { seconds }) => sum + seconds, 0) / n;
  const meanY = samples.reduce((sum, { rssMb }) => sum + rssMb, 0) / n;
  let over = 0;
  let under = 0;
  for (const { seconds, rssMb } of samples) {
    over += (seconds - meanX) * (rssMb - meanY);
    under += (seconds - meanX) ** 2;
  }
  return under === 0 ? 0 : over / under;
}
