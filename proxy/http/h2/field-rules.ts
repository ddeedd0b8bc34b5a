/**
 * What a single field line may be in HTTP/2 (RFC 9113 8.2), and which fields the codec itself must understand.
 * Judged names are remembered, bounded: nearly all come from the HPACK tables and are the same strings each time.
 */
import { isFieldValue, isLowerToken, SP, TARGET } from '../grammar.ts';

export const RULE = {
  plain: 0,
  malformed: 1,
  /** Connection-specific: makes the message malformed (RFC 9113 8.2.2). */
  forbidden: 2,
  host: 3,
  contentLength: 4,
  te: 5,
  cookie: 6,
  expect: 7,
} as const;
export type Rule = (typeof RULE)[keyof typeof RULE];

const KNOWN: readonly (readonly [string, Rule])[] = [
  ['connection', RULE.forbidden],
  ['keep-alive', RULE.forbidden],
  ['proxy-connection', RULE.forbidden],
  ['transfer-encoding', RULE.forbidden],
  ['upgrade', RULE.forbidden],
  ['http2-settings', RULE.forbidden],
  ['host', RULE.host],
  ['content-length', RULE.contentLength],
  ['te', RULE.te],
  ['cookie', RULE.cookie],
  ['expect', RULE.expect],
];

const MAX_REMEMBERED = 1024;
const MAX_REMEMBERED_LENGTH = 64;
const rules = new Map<string, Rule>(KNOWN);

/** The rule for a name as received: upper case and everything else that is no lower-case token is malformed. */
export function ruleOf(name: string): Rule {
  const known = rules.get(name);
  if (known !== undefined) return known;
  const rule = isLowerToken(name) ? RULE.plain : RULE.malformed;
  if (rule === RULE.plain && name.length <= MAX_REMEMBERED_LENGTH && rules.size < MAX_REMEMBERED) rules.set(name, rule);
  return rule;
}

function isBlank(code: number): boolean {
  return code === SP || code === 0x09;
}

/** RFC 9113 8.2.1: no control character, no blank at either end. */
export function isValue(value: string): boolean {
  const length = value.length;
  if (length === 0) return true;
  if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1))) return false;
  return isFieldValue(value);
}

/** Origin form: a slash, then what may stand in a target, no fragment (RFC 9113 8.3.1; CVE-2026-33186 came of the missing slash). */
export function isPath(path: string): boolean {
  if (path.charCodeAt(0) !== 0x2f) return false;
  for (let i = 1; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code > 255 || TARGET[code] === 0) return false;
  }
  return true;
}

const METHODS = new Set(['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE']);
const MAX_METHOD_LENGTH = 256;

export function isMethod(method: string): boolean {
  return METHODS.has(method) || (method.length <= MAX_METHOD_LENGTH && isLowerToken(method.toLowerCase()));
}
