/**
 * Regular expressions from users, matched in linear time whatever the input: V8's own automaton engine (`l` flag).
 * It refuses what cannot be matched so (look-around, back references), as RE2 does. Knows no field.
 */
import { err, ok, type Result } from './result.ts';

/** Longer expressions are refused (Istio's bound for the same reason: ISTIO-SECURITY-2026-006). */
export const MAX_REGEX_LENGTH = 1024;

/**
 * What reads otherwise in RE2 than in JavaScript, where an escape that means nothing stands for its letter:
 * `\A`, `\z`, `\pL`, `\Q`, `[[:alpha:]]`. Better refused than misread.
 */
const MISREAD = /(?<!\\)(?:\\\\)*\\(?![dDwWsSbBnrtfv]|x[0-9a-fA-F]{2})[a-zA-Z0-9]|\[:\^?[a-z]+:\]/;

let enabled = false;

/** A matcher for the whole of a string, or the sentence that says why `source` is refused. */
export function linearRegex(source: string): Result<RegExp, string> {
  return compile(source, `^(?:${source})$`, 'l');
}

/** Finds all parts of a string that match, for replacing; or the sentence that says why `source` is refused. */
export function linearSearch(source: string): Result<RegExp, string> {
  return compile(source, source, 'gl');
}

function compile(source: string, whole: string, flags: 'l' | 'gl'): Result<RegExp, string> {
  if (source.length > MAX_REGEX_LENGTH) return err(`is longer than ${MAX_REGEX_LENGTH} characters`);
  const misread = MISREAD.exec(source);
  if (misread !== null) return err(`holds ${misread[0]}, which is not supported`);
  if (!enabled) {
    // Loaded here: most sidecars have no expression, and the module costs 2 MB.
    process.getBuiltinModule('node:v8').setFlagsFromString('--enable-experimental-regexp-engine');
    enabled = true;
  }
  try {
    // Alone first: `a)|(b` is no expression, but would become one between the brackets below.
    void new RegExp(source, 'l');
    return ok(new RegExp(whole, flags));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return err(`is no regular expression that can be matched in linear time (${reason})`);
  }
}
