/**
 * Precedence among policies, settled field by field: the more specific target first, then the older policy, then the alphabetical order.
 * Who loses a field is written down, for the status. Knows no particular field.
 */
import { objectKey } from '../../kinds/meta.ts';
import type { TrafficPolicy, TrafficPolicySpec } from '../../kinds/traffic-policy.ts';

/** One field of a TrafficPolicy, by its path. Null: not given. */
export interface Field<T> {
  readonly path: string;
  readonly of: (spec: TrafficPolicySpec) => T | null;
}

/** The policies of one target, the winning one first. */
export interface Level {
  /** `Service shop/reviews`, `Service shop/reviews port http`, `HTTPRoute shop/reviews`, `HTTPRoute shop/reviews rule v2`. */
  readonly target: string;
  readonly policies: readonly TrafficPolicy[];
}

/** Fields of a policy that another one, or the route itself, set in its place. */
export interface Loss {
  readonly winner: string;
  /** Of the same target; else the winner's is more specific. */
  readonly conflict: boolean;
  readonly fields: Set<string>;
}

/** What each policy lost at each of its targets. */
export class Losses {
  readonly #byPolicyTarget = new Map<string, Map<string, Loss>>();

  add(policy: TrafficPolicy, target: string, path: string, winner: string, conflict: boolean): void {
    const key = lossKey(policy, target);
    let byWinner = this.#byPolicyTarget.get(key);
    if (byWinner === undefined) this.#byPolicyTarget.set(key, (byWinner = new Map()));
    const loss = byWinner.get(winner);
    if (loss === undefined) byWinner.set(winner, { winner, conflict, fields: new Set([path]) });
    else loss.fields.add(path);
  }

  of(policy: TrafficPolicy, target: string): readonly Loss[] {
    return [...(this.#byPolicyTarget.get(lossKey(policy, target))?.values() ?? [])];
  }
}

/** Who set a field that is in force. `policy` null: the route itself. */
export interface Win {
  readonly value: unknown;
  readonly policy: TrafficPolicy | null;
  /** What the policy is attached to, as in `Level.target`; empty for the route itself. */
  readonly target: string;
}

/** By path of the field; null: nobody gives it, the default counts. */
export type Wins = Map<string, Win | null>;

/** The value in force of a field; null when nobody gives it. `own` is what the route itself says, which nothing is more specific than. */
export type Settle = <T>(field: Field<T>, own?: T | null) => T | null;

/**
 * @param levels the most specific first
 * @param owner the route that `own` values come from, as in `HTTPRoute shop/reviews`
 * @param wins gets an entry for every field that is asked for
 */
export function settler(levels: readonly Level[], losses: Losses, owner = '', wins?: Wins): Settle {
  return <T>(field: Field<T>, own: T | null = null): T | null => {
    let value = own;
    let winner = { name: owner, level: '' };
    let win: Win | null = own === null ? null : { value: own, policy: null, target: '' };
    for (const { target, policies } of levels) {
      for (const policy of policies) {
        const given = field.of(policy.spec);
        if (given === null) continue;
        if (value === null) {
          value = given;
          winner = { name: `TrafficPolicy ${objectKey(policy.meta)}`, level: target };
          win = { value: given, policy, target };
        } else {
          losses.add(policy, target, field.path, winner.name, winner.level === target);
        }
      }
    }
    wins?.set(field.path, win);
    return value;
  };
}

function lossKey(policy: TrafficPolicy, target: string): string {
  return `${objectKey(policy.meta)} ${target}`;
}
