/**
 * Status conditions as lines for a terminal: what an object's status would say in a cluster, with the place where it was written.
 * Pure.
 */
import type { Condition, Conditions, ObjectStatus, ParentRefStatus } from '../../control-plane/compile/conditions.ts';

export interface StatusLine {
  readonly object: string;
  readonly line: string;
}

/** A false condition is bad news, except those of which true is: there is a conflict, something was overridden. */
function isBad({ type, status }: Condition): boolean {
  return type === 'Conflicted' || type === 'Overridden' ? status === 'True' : status === 'False';
}

/** Conditions that somebody should look at. */
export function badConditions(conditions: Conditions): readonly StatusLine[] {
  return linesOf(conditions, isBad);
}

/** All conditions. */
export function allConditions(conditions: Conditions): readonly StatusLine[] {
  return linesOf(conditions, () => true);
}

function linesOf(conditions: Conditions, wanted: (condition: Condition) => boolean): readonly StatusLine[] {
  return [...conditions.values()].flatMap((status) => {
    const object = `${status.kind} ${status.namespace === '' ? '' : `${status.namespace}/`}${status.name}`;
    const own = status.conditions.filter(wanted).map((c) => ({ object, line: `${at(status)}${object}: ${words(c)}` }));
    const parents = status.parents.flatMap(({ ref, conditions: said }) =>
      said.filter(wanted).map((c) => ({ object, line: `${at(status)}${object} on ${refName(ref)}: ${words(c)}` })),
    );
    return own.concat(parents);
  });
}

function words({ type, status, reason, message }: Condition): string {
  return `${type}=${status} ${reason}${message === '' ? '' : `: ${message}`}`;
}

function refName({ kind, namespace, name, sectionName, port }: ParentRefStatus): string {
  return `${kind} ${namespace}/${name}${port === null ? '' : `:${port}`}${sectionName === '' ? '' : `#${sectionName}`}`;
}

function at({ place }: ObjectStatus): string {
  return place === null ? '' : `${place.file}:${place.line}: `;
}
