/**
 * The Prometheus text format, version 0.0.4 (prometheus/docs, exposition formats). Knows nothing of what the numbers mean.
 */
import { Counter } from './cells.ts';
import type { Histogram } from './histogram.ts';
import type { FamilyView } from './metrics.ts';

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** All families, also those without series yet, so that a reader finds their names. */
export function renderPrometheus(registry: { families(): Iterable<FamilyView> }): string {
  let text = '';
  for (const family of registry.families()) text += renderFamily(family);
  return text;
}

function renderFamily(family: FamilyView): string {
  const { name, labelNames } = family;
  let text = `# HELP ${name} ${escapeHelp(family.help)}\n# TYPE ${name} ${family.type}\n`;
  for (const { labels, handle } of family.series()) {
    const pairs = labelNames.map((label, index) => `${label}="${escapeLabel(labels[index]!)}"`).join(',');
    if (handle instanceof Counter) text += sample(name, pairs, handle.value);
    else text += renderHistogram(name, pairs, handle);
  }
  return text;
}

function renderHistogram(name: string, pairs: string, histogram: Histogram): string {
  const prefix = pairs === '' ? '' : `${pairs},`;
  let text = '';
  let total = 0;
  for (let bucket = 0; bucket < histogram.bounds.length; bucket++) {
    total += histogram.bucket(bucket);
    text += sample(`${name}_bucket`, `${prefix}le="${histogram.bounds[bucket]}"`, total);
  }
  const count = histogram.count;
  text += sample(`${name}_bucket`, `${prefix}le="+Inf"`, count);
  return text + sample(`${name}_sum`, pairs, histogram.sum) + sample(`${name}_count`, pairs, count);
}

function sample(name: string, pairs: string, value: number): string {
  return `${name}${pairs === '' ? '' : `{${pairs}}`} ${formatValue(value)}\n`;
}

/** As Go's ParseFloat reads it. */
function formatValue(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', String.raw`\\`).replaceAll('\n', String.raw`\n`);
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', String.raw`\"`);
}
