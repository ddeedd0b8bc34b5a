/**
 * Flags of the programs as tables, read from their own help.
 */
import { OPTION_HELP } from '../../control-plane/settings.ts';
import { captureHelp } from '../../proxy/capture/flags.ts';
import { settingsHelp } from '../../proxy/settings.ts';

const HEAD = ['flag', 'default', 'what it says'];

function row(flag: string, value: string, fallback: string, help: string): string[] {
  return [`\`--${flag} ${value}\``, fallback, help];
}

const shown = (fallback: string): string => (fallback === 'required' || fallback === '' ? fallback : `\`${fallback}\``);

/** Lines such as `  --name VALUE    what it says (default)`. */
function fromHelp(help: string): string[][] {
  return [...help.matchAll(/^ {2}--(\S+) (\S+) +(.+?)(?: \(([^()]+)\))?$/gm)].map(
    ([, flag = '', value = '', text = '', fallback = '']) => row(flag, value, shown(fallback), text),
  );
}

export const sidecarFlags = (): string[][] => [HEAD, ...fromHelp(settingsHelp())];
export const captureFlags = (): string[][] => [HEAD, ...fromHelp(captureHelp())];

export function controlPlaneFlags(): string[][] {
  return [
    HEAD,
    ...OPTION_HELP.map(({ flag, value, help, fallback, repeatable }) =>
      row(flag, value, repeatable ? '' : shown(fallback ?? 'required'), repeatable ? `${help} (repeatable)` : help),
    ),
  ];
}
