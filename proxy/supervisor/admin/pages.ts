/**
 * What the admin and metrics ports show. Private keys and tokens never come here: a page is made from summaries.
 * Knows what there is to show, not how it is served.
 */
import type { DestinationState, Snapshot } from '../../config/snapshot.ts';
import { PROMETHEUS_CONTENT_TYPE, renderPrometheus } from '../../telemetry/prometheus.ts';
import type { FamilyView } from '../../telemetry/metrics.ts';
import type { WorkerState } from '../../worker/describe.ts';
import type { IdentityMaterial } from '../../worker/messages.ts';
import type { ExchangeFacts } from '../../worker/recent.ts';
import { summarize } from '../identity/certificate.ts';
import { renderProcessMetrics } from './process-metrics.ts';
import { jsonAnswer, textAnswer, type Answer, type Page, type Pages } from './server.ts';

/** Where pages get what they show; each is asked when a page is. */
export interface AdminSources {
  /** Why the sidecar is not ready; empty: it is. */
  readonly notReady: () => readonly string[];
  readonly snapshot: () => Snapshot;
  readonly destinations: () => ReadonlyMap<string, DestinationState>;
  readonly nacks: () => ReadonlyMap<string, string>;
  readonly connected: () => boolean;
  readonly identity: () => IdentityMaterial | null;
  /** Of all workers that are not too busy to say. */
  readonly worker: () => Promise<WorkerState>;
  readonly recall: (id: string) => Promise<readonly ExchangeFacts[]>;
  readonly drain: () => void;
  readonly metrics: { families(): Iterable<FamilyView> };
  /** Wall time of the start of the process, in milliseconds. */
  readonly startedMs: number;
}

/** Pages of the loopback port. */
export function adminPages(sources: AdminSources): Pages {
  return new Map<string, Page>([
    ['/ready', get('200 when traffic is served, else 503 and why', () => readiness(sources))],
    ['/metrics', get('Prometheus metrics', () => metricsOf(sources))],
    ['/config_dump', get('the snapshot in force, and what was refused', () => configDump(sources))],
    [
      '/clusters',
      get('clusters and the state of their endpoints', async () => jsonAnswer((await sources.worker()).clusters)),
    ],
    ['/listeners', get('listeners in force', async () => jsonAnswer((await sources.worker()).listeners))],
    ['/destinations', get('destinations followed, and their state', () => jsonAnswer(sources.destinations()))],
    [
      '/requests',
      get(
        'what happened to requests: ?id= a request or trace id; without, the last that went wrong or were tried again',
        async (query) => jsonAnswer(await sources.recall(query.get('id') ?? '')),
      ),
    ],
    ['/certs', get('own certificate and trusted roots', () => certificates(sources))],
    ['/drain', { method: 'POST', help: 'stop taking new work, finish what runs, end', answer: () => drain(sources) }],
  ]);
}

/** Pages of the port that the cluster may see: probes and metrics only. */
export function metricsPages(sources: AdminSources): Pages {
  return new Map<string, Page>([
    ['/metrics', get('Prometheus metrics', () => metricsOf(sources))],
    ['/healthz', get('200 while the process lives', () => textAnswer(200, 'ok'))],
    ['/readyz', get('200 when traffic is served, else 503 and why', () => readiness(sources))],
  ]);
}

function get(help: string, answer: Page['answer']): Page {
  return { method: 'GET', help, answer };
}

function readiness({ notReady }: AdminSources): Answer {
  const reasons = notReady();
  return reasons.length === 0 ? textAnswer(200, 'ready') : textAnswer(503, reasons.join('\n'));
}

function metricsOf({ metrics, startedMs }: AdminSources): Answer {
  const body = `${renderPrometheus(metrics)}${renderProcessMetrics(startedMs)}`;
  return { status: 200, contentType: PROMETHEUS_CONTENT_TYPE, body };
}

function configDump({ snapshot, nacks, connected }: AdminSources): Answer {
  const { listeners, routes, clusters, endpoints, trust } = snapshot();
  const roots = trust?.rootsPem.flatMap(summarize) ?? null;
  return jsonAnswer({ connected: connected(), refused: nacks(), listeners, routes, clusters, endpoints, roots });
}

function certificates({ identity, snapshot }: AdminSources): Answer {
  const own = identity();
  return jsonAnswer({
    identity: own?.spiffeId ?? null,
    chain: own === null ? [] : summarize(own.certChainPem),
    roots: snapshot().trust?.rootsPem.flatMap(summarize) ?? [],
  });
}

function drain(sources: AdminSources): Answer {
  sources.drain();
  return textAnswer(202, 'draining');
}
