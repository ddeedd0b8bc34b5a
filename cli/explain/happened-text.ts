/** Recollections of requests as text for people. Decides nothing. */
import { columns } from './columns.ts';
import type { Sighting } from './happened.ts';
import type { TryFacts } from '../../proxy/worker/recent.ts';

/** All that is known of one request, hop by hop. @param sightings in order, at least one */
export function storyText(sightings: readonly Sighting[]): string {
  const [first] = sightings;
  if (first === undefined) return '';
  const title = `${first.method} http://${first.authority}${first.path}`;
  const ids = `  request ${first.requestId}, trace ${first.traceId}`;
  return [title, ids, ...sightings.map((sighting) => ['', ...hop(sighting, first.startWallMs)].join('\n'))].join('\n');
}

/** One line each, latest first. */
export function listText(sightings: readonly Sighting[]): string {
  const rows = sightings.map((s) => [
    new Date(s.startWallMs).toISOString().slice(11, 23),
    s.seenBy,
    s.direction,
    `${s.method} ${s.authority}${s.path}`,
    resultOf(s),
    triesOf(s),
    ms(s.durationMs),
    s.requestId,
  ]);
  return columns([['time', 'sidecar', 'direction', 'request', 'result', 'tries', 'took', 'request id'], ...rows]).join(
    '\n',
  );
}

function hop(s: Sighting, startMs: number): readonly string[] {
  const where = s.direction === 'outbound' ? `${s.seenBy} calls ${s.authority}` : `${s.seenBy} is asked`;
  const lines = [
    `+${s.startWallMs - startMs} ms  ${where}: ${resultOf(s)} after ${ms(s.durationMs)}`,
    ...(s.direction === 'inbound' ? [`  from ${s.downstreamAddress}, ${peerText(s.downstreamPeer)}`] : []),
    ...(s.fallback === '' ? [] : [`  a fallback answered in the place of ${s.fallback}`]),
    ...(s.delayed ? ['  made to wait on purpose (fault.delay)'] : []),
    ...(s.detail === '' ? [] : [`  ${s.detail}`]),
    ...(s.direction === 'outbound' && s.route !== '' ? [`  route ${s.route}, backend ${s.cluster || 'none'}`] : []),
    ...columns(s.tries.map((one, i) => tryCells(one, i, s))).map((line) => `  ${line}`),
  ];
  return lines;
}

function tryCells({ endpoint, pod, identity, fromMs, untilMs, outcome }: TryFacts, at: number, s: Sighting): string[] {
  const who = pod === '' ? endpoint : `${pod} (${endpoint})`;
  const how = s.direction === 'inbound' ? '' : peerText(identity);
  const then = at < s.tries.length - 1 ? 'tried again' : '';
  return [`try ${at + 1}`, who, how, `${ms(fromMs)} to ${ms(untilMs)}`, outcome === '0' ? 'no answer' : outcome, then];
}

function peerText(identity: string): string {
  return identity === '' ? 'plaintext' : `mTLS as ${identity}`;
}

function resultOf({ status, reason, grpcStatus }: Sighting): string {
  const code = status === 0 ? 'no answer' : String(status);
  const grpc = grpcStatus > 0 ? `, grpc-status ${grpcStatus}` : '';
  return `${code}${grpc}${reason === '' ? '' : ` (${reason})`}`;
}

function triesOf({ tries }: Sighting): string {
  return tries.length === 1 ? '1 try' : `${tries.length} tries`;
}

function ms(value: number): string {
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} ms`;
}
