/**
 * Conditions as lines for people and logs, where no API server keeps a status: all of them, what is wrong, or what changed.
 * Knows neither how conditions come about nor where lines go.
 */
import type { LogFields, LogLevel } from '#base/log.ts';
import type { Condition, Conditions, ObjectStatus } from '../compile/conditions.ts';
import { conditionText, isTrouble, objectText, parentText } from './sentences.ts';

export interface StatusLine {
  /** `warn`: something was not done as written; `info`: it is now, or worth knowing. */
  readonly level: Extract<LogLevel, 'info' | 'warn'>;
  /** One sentence, with the place where the object was written. */
  readonly text: string;
  readonly fields: LogFields;
}

/**
 * One line for each condition that differs from what `previous` says. What is in order is told only when it was not before;
 * conditions of objects that are gone are not told.
 */
export function formatConditions(conditions: Conditions, previous: Conditions = new Map()): StatusLine[] {
  const lines: StatusLine[] = [];
  for (const [key, status] of conditions) {
    const before = previous.get(key);
    if (before === status) continue;
    const known = new Map(before === undefined ? [] : said(before).map((one) => [one.id, one]));
    const now = said(status);
    for (const one of now) {
      const old = known.get(one.id);
      if (old?.text === one.text) continue;
      if (one.trouble || old?.trouble === true) lines.push(lineOf(status, one));
    }
    const still = new Set(now.map((one) => one.id));
    for (const old of known.values()) {
      if (old.trouble && !still.has(old.id)) lines.push(goneLine(status, old));
    }
  }
  return lines;
}

/** What every condition says, object by object. */
export function allConditions(conditions: Conditions): string[] {
  return linesOf(conditions, () => true);
}

/** The same for those that somebody should look at. */
export function troubleOf(conditions: Conditions): string[] {
  return linesOf(conditions, ({ trouble }) => trouble);
}

function linesOf(conditions: Conditions, wanted: (one: Said) => boolean): string[] {
  return [...conditions.values()].flatMap((status) =>
    said(status)
      .filter(wanted)
      .map((one) => lineOf(status, one).text),
  );
}

interface Said {
  /** Which condition of which parent. */
  readonly id: string;
  readonly parent: string;
  readonly condition: Condition;
  readonly trouble: boolean;
  readonly text: string;
}

function said(status: ObjectStatus): Said[] {
  const groups = [
    { parent: '', conditions: status.conditions },
    ...status.parents.map(({ ref, conditions }) => ({ parent: parentText(ref), conditions })),
  ];
  return groups.flatMap(({ parent, conditions }) =>
    conditions.map((condition) => ({
      id: `${parent} ${condition.type}`,
      parent,
      condition,
      trouble: isTrouble(condition),
      text: conditionText(condition),
    })),
  );
}

function lineOf(status: ObjectStatus, { parent, condition, trouble, text }: Said): StatusLine {
  const { place } = status;
  const where = place === null ? '' : `${place.file}:${place.line}:${place.column}: `;
  const object = objectText(status);
  return {
    level: trouble ? 'warn' : 'info',
    text: `${where}${object}${parent === '' ? '' : ` on ${parent}`}: ${text}`,
    fields: { object, parent, condition: condition.type, status: condition.status, reason: condition.reason },
  };
}

function goneLine(status: ObjectStatus, old: Said): StatusLine {
  const line = lineOf(status, {
    ...old,
    trouble: false,
    text: `${old.condition.type} is no longer ${old.condition.status}`,
  });
  const turned = old.condition.status === 'True' ? 'False' : 'True';
  return { ...line, fields: { ...line.fields, status: turned, reason: '' } };
}
