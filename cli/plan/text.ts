/** A plan as text for people: what they changed, what comes of it, whom it reaches. Decides nothing. */
import { INBOUND_LISTENER, OUTBOUND_LISTENER } from '#api/names.ts';
import { formatDuration } from '#base/duration.ts';
import type { Setting } from '../../control-plane/compile/policies/provenance.ts';
import { columns } from '../explain/columns.ts';
import type { Difference } from './differences.ts';
import type { ChangePlan } from './plan.ts';
import type { PortChange, RouteChange, SettingChange } from './ports.ts';
import type { Told, ToldSidecar } from './sidecars.ts';
import type { WorkloadChange } from './workloads.ts';

/** Sidecars that are named. */
const MAX_NAMED = 20;
const MAX_RESOURCES = 3;
const MAX_VALUE_LENGTH = 80;

export function planText(plan: ChangePlan, shorten: (file: string) => string): string {
  const { objects, unchanged, ports, workloads, outbound, trouble, sidecars } = plan;
  if (objects.length === 0) return `nothing changes (${unchanged} objects are as they were)`;
  const objectLines = columns(
    objects.map(({ object, change, file, line }) => [change, object, file === null ? '' : `${shorten(file)}:${line}`]),
  );
  const sections = [
    section('Objects', [...objectLines, ...(unchanged > 0 ? [`as it was: ${unchanged}`] : [])]),
    ...ports.map((port) => section(`${port.kind} ${port.port}`, portLines(port))),
    section('Workloads', workloads.flatMap(workloadLines)),
    section('Outbound policy', outbound.map(differenceLine)),
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

function portLines({ change, protocol, routes, settings, differences, endpoints }: PortChange): readonly string[] {
  const { added, removed, changed } = endpoints;
  const moved = added + removed + changed > 0 ? [`endpoints: ${added} more, ${removed} fewer, ${changed} changed`] : [];
  if (change !== 'changed') return [change, ...moved];
  const spoken = protocol.before === protocol.after ? [] : [`protocol: ${protocol.before} -> ${protocol.after}`];
  return [
    ...spoken,
    ...routes.flatMap(routeLines),
    ...settings.map(settingLine),
    ...differences.map(differenceLine),
    ...moved,
  ];
}

function workloadLines({ owner, pods, differences }: WorkloadChange): readonly string[] {
  return [pods === 1 ? owner : `${owner} x ${pods}`, ...differences.map((one) => `  ${differenceLine(one)}`)];
}

function routeLines({ name, change, differences, settings }: RouteChange): readonly string[] {
  if (change !== 'changed') return [`route ${name} is ${change}`];
  return [`route ${name}`, ...[...differences.map(differenceLine), ...settings.map(settingLine)].map((l) => `  ${l}`)];
}

function differenceLine({ path, before, after }: Difference): string {
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
  const surely = basis === 'follow' ? told.length : told.filter(({ resources }) => resources.some(isOwn)).length;
  const count = `${told.length} of ${all} are told something new`;
  const rest = told.length - surely;
  const sure =
    rest === 0 ? count : `${count}, ${rest === told.length ? '' : `${rest} of them `}if they call what changed`;
  const groups = [...grouped(told)];
  const named = groups.slice(0, MAX_NAMED).map(([name, resources]) => [name, resourceText(resources)]);
  const more = groups.length > MAX_NAMED ? [`and ${groups.length - MAX_NAMED} more`] : [];
  return [sure, ...columns(named), ...more];
}

/** Followed by every sidecar. */
function isOwn(resource: string): boolean {
  return resource === INBOUND_LISTENER || resource === OUTBOUND_LISTENER;
}

/** Pods of one owner that are told the same are one line. */
function grouped(told: readonly ToldSidecar[]): ReadonlyMap<string, readonly string[]> {
  const groups = Map.groupBy(told, ({ sidecar, owner, resources }) => `${owner || sidecar} ${resources.join(' ')}`);
  const lines = [...groups.values()].map(([first, ...others]): readonly [string, readonly string[]] => {
    const { sidecar = '', owner = '', resources = [] } = first ?? {};
    return [others.length === 0 ? sidecar : `${owner} x ${others.length + 1}`, resources];
  });
  return new Map(lines.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function resourceText(resources: readonly string[]): string {
  const more = resources.length > MAX_RESOURCES ? ` and ${resources.length - MAX_RESOURCES} more` : '';
  return resources.slice(0, MAX_RESOURCES).join(', ') + more;
}

/** A line of a status begins with the file that it is about. */
function relative(line: string, shorten: (file: string) => string): string {
  const file = /^(\/[^:]+):\d/.exec(line)?.[1];
  return file === undefined ? line : line.replace(file, shorten(file));
}
