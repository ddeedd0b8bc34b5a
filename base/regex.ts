/**
 * Regular expressions from users, matched in linear time whatever the input: V8's own automaton engine (`l` flag).
 * It refuses what cannot be matched so (look-around, back references), as RE2 does. Knows no field.
 */
import { setFlagsFromString } from 'node:v8';
import { err, ok, type Result } from './result.ts';

/** Longer expressions are refused (Istio's bound for the same reason: ISTIO-SECURITY-2026-006). */
export const MAX_REGEX_LENGTH = 1024;

let enabled = false;

/** A matcher for the whole of a string, or the sentence that says why `source` is refused. */
export function linearRegex(source: string): Result<RegExp, string> {
  if (source.length > MAX_REGEX_LENGTH) return err(`is longer than ${MAX_REGEX_LENGTH} characters`);
  if (!enabled) {
    setFlagsFromString('--enable-experimental-regexp-engine');
    enabled = true;
  }
  try {
    return ok(new RegExp(`^(?:${source})$`, 'l'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return err(`is no regular expression that can be matched in linear time (${reason})`);
  }
}
