/** Results as JUnit XML, in the form that CI systems read: one suite for each file. */
import type { FileResult, TestResult } from './run.ts';

export function junitXml(files: readonly FileResult[]): string {
  const suites = files.map(suite).join('\n');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites}\n</testsuites>\n`;
}

function suite({ file, problems, results }: FileResult): string {
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  const counts = `tests="${results.length}" failures="${failed}" errors="${problems.length > 0 ? 1 : 0}"`;
  const time = seconds(results.reduce((sum, { tookMs }) => sum + tookMs, 0));
  const broken =
    problems.length === 0
      ? []
      : [
          `    <testcase name="${escaped(file)}"><error message="cannot be run">${escaped(problems.join('\n'))}</error></testcase>`,
        ];
  const cases = [...broken, ...results.map((result) => testCase(file, result))].join('\n');
  return `  <testsuite name="${escaped(file)}" ${counts} time="${time}">\n${cases}\n  </testsuite>`;
}

function testCase(file: string, { name, line, failures, tookMs }: TestResult): string {
  const head = `    <testcase name="${escaped(name)}" classname="${escaped(file)}" file="${escaped(file)}" line="${line}" time="${seconds(tookMs)}"`;
  if (failures.length === 0) return `${head}/>`;
  const [first = ''] = failures;
  return `${head}><failure message="${escaped(first)}">${escaped(failures.join('\n'))}</failure></testcase>`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Characters that XML 1.0 cannot hold become a question mark. */
function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (c) => ENTITIES[c] ?? c).replaceAll(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g, '?');
}
