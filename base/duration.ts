/**
 * Durations as Gateway API writes them (GEP-2257): `1h30m`, `10s`, `500ms`; up to four units, each at most five digits.
 * Knows no field and no default.
 */
const FORM = /^(?:\d{1,5}(?:h|m|s|ms)){1,4}$/;
const PART = /(\d{1,5})(ms|h|m|s)/g;
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** What a valid duration looks like, for advice. */
export const DURATION_ADVICE = 'write a duration such as 500ms, 10s or 1h30m';

/** Milliseconds, or null when `text` is no duration. */
export function parseDuration(text: string): number | null {
  if (!FORM.test(text)) return null;
  let total = 0;
  for (const [, digits, unit] of text.matchAll(PART)) total += Number(digits) * (UNIT_MS[unit ?? ''] ?? 0);
  return total;
}

/** The shortest form: 90000 -> `1m30s`. Fractions of a millisecond are dropped. */
export function formatDuration(ms: number): string {
  let rest = Math.trunc(ms);
  if (rest <= 0) return '0s';
  let text = '';
  for (const unit of ['h', 'm', 's', 'ms']) {
    const size = UNIT_MS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
