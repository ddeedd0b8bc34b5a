/** A plan as text for people: what they changed, what comes of it, whom it reaches. Decides nothing. */
import { formatDuration } from '#base/duration.ts';
import type { Setting } from '../../control-plane/compile/policies/provenance.ts';
import { columns } from '../explain/columns.ts';
import type { Difference } from './differences.ts';
import type { ChangePlan, PortChange, RouteChange, SettingChange } from './plan.ts';
import type { Told } from './sidecars.ts';

/** Sidecars that are named. */
const MAX_NAMED = 20;
const MAX_VALUE_LENGTH = 80;

export function planText(plan: ChangePlan, shorten: (file: string) => string): string {
  const { objects, unchanged, ports, trouble, sidecars } = plan;
  if (objects.length === 0) return `nothing changes (${unchanged} objects are as they were)`;
  const objectLines = columns(
    objects.map(({ object, change, file, line }) => [change, object, file === null ? '' : `${shorten(file)}:${line}`]),
  );
  const sections = [
    section('Objects', [...objectLines, ...(unchanged > 0 ? [`as it was: ${unchanged}`] : [])]),
    ...ports.map((port) => section(`Service ${port.port}`, portLines(port))),
    section(
      'Status: new trouble',
      trouble.appears.map((line) => relative(line, shorten)),
    ),
    section(
      'Status: trouble that is gone',
      trouble.goes.map((line) => relative(line, shorten)),
    ),
    section('Sidecars', sidecarLines(sidecars)),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}

function portLines({ change, protocol, routes, settings, endpoints }: PortChange): readonly string[] {
  const { added, removed, changed } = endpoints;
  const moved = added + removed + changed > 0 ? [`endpoints: ${added} more, ${removed} fewer, ${changed} changed`] : [];
  if (change !== 'changed') return [change, ...moved];
  const spoken = protocol.before === protocol.after ? [] : [`protocol: ${protocol.before} -> ${protocol.after}`];
  return [...spoken, ...routes.flatMap(routeLines), ...settings.map(settingLine), ...moved];
}

function routeLines({ name, change, differences, settings }: RouteChange): readonly string[] {
  if (change !== 'changed') return [`route ${name} is ${change}`];
  return [`route ${name}`, ...[...differences.map(differenceLine), ...settings.map(settingLine)].map((l) => `  ${l}`)];
}

export function differenceLine({ path, before, after }: Difference): string {
  return `${path}: ${valueText(path, before)} -> ${valueText(path, after)}`;
}

function settingLine({ path, before, after }: SettingChange): string {
  return `${path.replace(/^spec\./, '')}: ${settingText(path, before)} -> ${settingText(path, after)}`;
}

function settingText(path: string, setting: Setting | null): string {
  if (setting === null || setting.setBy === '') return 'default';
  return `${valueText(path, setting.value)} (${setting.setBy})`;
}

const DURATIONS = /^spec\.timeouts\.|\.(?:backoff|ejection)\.|\.interval$|Ms$/;

function valueText(path: string, value: unknown): string {
  if (value === undefined || value === null) return 'none';
  if (typeof value === 'number' && DURATIONS.test(path)) return formatDuration(value);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}...` : text;
}

function sidecarLines({ basis, all, told }: Told): readonly string[] {
  const count = told.reduce((sum, { replicas }) => sum + replicas, 0);
  const verb = basis === 'follow' ? 'are told something new' : 'are told something new if they call what changed';
  const named = told
    .slice(0, MAX_NAMED)
    .map(({ sidecar, replicas, resources }) => [
      replicas === 1 ? sidecar : `${sidecar} x ${replicas}`,
      resources.length > 3
        ? `${resources.slice(0, 3).join(', ')} and ${resources.length - 3} more`
        : resources.join(', '),
    ]);
  const more = told.length > MAX_NAMED ? [`and ${told.length - MAX_NAMED} more`] : [];
  return [`${count} of ${all} ${verb}`, ...columns(named), ...more];
}

/** A line of a status begins with the file that it is about. */
function relative(line: string, shorten: (file: string) => string): string {
  const file = /^(\/[^:]+):\d/.exec(line)?.[1];
  return file === undefined ? line : line.replace(file, shorten(file));
}
