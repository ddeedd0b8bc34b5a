/** Envoy's fractions of a hundred. Knows no field. */
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercent,
} from '#api/generated/envoy/type/v3/type.ts';

const PARTS: Readonly<Record<number, number>> = {
  [Denominator.HUNDRED]: 100,
  [Denominator.TEN_THOUSAND]: 10_000,
  [Denominator.MILLION]: 1_000_000,
};

/** More than all is all, as in Envoy. */
export function percentOf(share: FractionalPercent | undefined): number {
  if (share === undefined) return 0;
  return Math.min(100, (share.numerator / (PARTS[share.denominator] ?? 100)) * 100);
}
