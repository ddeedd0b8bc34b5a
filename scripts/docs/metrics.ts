/**
 * Metrics of both processes as tables: the registries are made as the processes make them, and asked.
 */
import { FakeClock } from '#base/fake-clock.ts';
import { Metrics } from '../../control-plane/admin/metrics.ts';
import { reportGauges } from '../../proxy/supervisor/gauges.ts';
import { fleetMetrics } from '../../proxy/supervisor/workers/fleet.ts';
import { renderProcessMetrics } from '../../proxy/supervisor/admin/process-metrics.ts';
import { MetricRegistry } from '../../proxy/telemetry/metrics.ts';
import { Meters } from '../../proxy/worker/meters.ts';

const HEAD = ['metric', 'type', 'labels', 'what it counts'];

/** `# HELP` and `# TYPE` lines of an exposition; labels are not seen there. */
function fromExposition(text: string): string[][] {
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
  return [...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name = '', help = '']) => [
    `\`${name}\``,
    types.get(name) ?? '',
    '',
    help,
  ]);
}

export function sidecarMetrics(): string[][] {
  const registry = new MetricRegistry();
  void new Meters(registry);
  fleetMetrics(registry);
  const feed = { connected: { value: false }, destinations: new Map(), nacks: new Map() };
  reportGauges(
    { clock: new FakeClock(), registry },
    feed as unknown as Parameters<typeof reportGauges>[1],
    () => null,
  )();
  const own = [...registry.families()].map(({ name, type, labelNames, help }) => [
    `\`${name}\``,
    type,
    labelNames.map((label) => `\`${label}\``).join(' '),
    help,
  ]);
  return [HEAD, ...own, ...fromExposition(renderProcessMetrics(0))];
}

export async function controlPlaneMetrics(): Promise<string[][]> {
  const zero = new Proxy({}, { get: () => 0 }) as ReturnType<ConstructorParameters<typeof Metrics>[0]>;
  const text = await new Metrics(() => zero).text();
  const perType = new Set(
    ['pushes', 'pushed_resources', 'acks', 'nacks'].map((n) => `\`tulle_control_plane_${n}_total\``),
  );
  return [
    HEAD,
    ...fromExposition(text).map(([name = '', type = '', , help = '']) => [
      name,
      type,
      perType.has(name) ? '`type`' : '',
      help,
    ]),
  ];
}
