/**
 * Header changes of routes and weighted clusters (`HeaderValueOption`).
 * Refuses what would change framing or routing, and Envoy's `%COMMAND%` substitutions, which we do not have.
 */
import {
  HeaderValueOption_HeaderAppendAction,
  type HeaderValueOption,
} from '#api/generated/envoy/config/core/v3/core.ts';
import type { Problems } from '#base/problems.ts';
import type { HeaderChangeConfig, HeaderEditsConfig } from '../snapshot.ts';
import { TOKEN } from './match.ts';
import { at, refuse } from './unsupported.ts';

/** Framing and hop-by-hop fields (RFC 9110 7.6.1, RFC 9112 6): the proxy writes them itself. `host` is changed by `host_rewrite_literal`. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const HOW: Readonly<Record<number, HeaderChangeConfig['how']>> = {
  [HeaderValueOption_HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD]: 'append',
  [HeaderValueOption_HeaderAppendAction.ADD_IF_ABSENT]: 'add-if-absent',
  [HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD]: 'set',
  [HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS]: 'set-if-present',
};

/** The edits of one direction; null when there are none. `kind` is `request` or `response`, for the path. */
export function decodeHeaderEdits(
  add: readonly HeaderValueOption[],
  remove: readonly string[],
  kind: 'request' | 'response',
  path: string,
  problems: Problems,
): HeaderEditsConfig | null {
  if (add.length === 0 && remove.length === 0) return null;
  const addPath = at(path, `${kind}_headers_to_add`);
  const removePath = at(path, `${kind}_headers_to_remove`);
  return {
    changes: add.map((option, i) => decodeChange(option, `${addPath}[${i}]`, problems)),
    remove: remove.map((name, i) => decodeName(name, `${removePath}[${i}]`, problems)),
  };
}

function decodeChange(option: HeaderValueOption, path: string, problems: Problems): HeaderChangeConfig {
  const how = HOW[option.appendAction];
  if (how === undefined) refuse(problems, at(path, 'append_action'), `value ${option.appendAction}`);
  return {
    name: decodeName(option.header?.key ?? '', at(path, 'header.key'), problems),
    value: decodeValue(option.header?.value ?? '', at(path, 'header.value'), problems),
    how: how ?? 'set',
  };
}

function decodeName(key: string, path: string, problems: Problems): string {
  const name = key.toLowerCase();
  if (!TOKEN.test(name)) problems.add(path, 'must be a header name', 'pseudo headers cannot be changed');
  else if (OWN_FIELDS.has(name)) problems.add(path, `${name} is written by the proxy itself and cannot be changed`);
  return name;
}

/** The value with `%%` resolved to `%`. */
function decodeValue(value: string, path: string, problems: Problems): string {
  // RFC 9110 5.5: visible characters, spaces and tabs inside; obs-text is left out on purpose.
  if (!/^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(value)) {
    problems.add(path, 'must be a header value: visible ASCII, no space at either end, not empty');
  }
  if (value.replaceAll('%%', '').includes('%')) {
    refuse(problems, path, 'substitution of %COMMANDS%', 'plain values; write %% for a percent sign');
  }
  return value.replaceAll('%%', '%');
}
