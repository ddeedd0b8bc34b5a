/**
 * Small parts of the schema of TrafficPolicy that several of its features share. Knows none of them.
 */
import { boolean, integer, MAX_INT32, number, type Field } from './field.ts';
import { object, type Member, type Rule } from './structure.ts';

export const count = (min: number): Field<number> => integer(min, MAX_INT32);

export const percent = number(0, 100);

/** Exactly one of the members must be given. */
export function exactlyOne<M extends Readonly<Record<string, Member<unknown>>>>(members: M) {
  const names = Object.keys(members);
  const rule: Rule<Readonly<Record<string, unknown>>> = {
    rule: `[${names.map((name) => `has(self.${name})`).join(', ')}].exists_one(given, given)`,
    message: `must have exactly one of ${names.join(', ')}`,
    holds: (value) => names.filter((name) => value[name] !== null).length === 1,
  };
  return object(members, [rule]);
}

/** `true`, or left out. */
export const yes: Field<boolean> = { ...boolean(), schema: { type: 'boolean', enum: [true] }, read: readTrue };

function readTrue(...[value, path, problems]: Parameters<Field<boolean>['read']>): boolean | undefined {
  if (value === true) return true;
  problems.add(path, 'must be true', 'leave it out otherwise');
  return undefined;
}
