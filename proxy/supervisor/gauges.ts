/**
 * What the supervisor tells Prometheus about itself: connection, certificate, destinations.
 * Gauges follow their source every few seconds; a scrape needs no more.
 */
import type { Clock } from '#base/clock.ts';
import type { MetricRegistry } from '../telemetry/metrics.ts';
import type { IdentityMaterial } from '../worker/messages.ts';
import type { SnapshotFeed } from './xds/feed.ts';

const PERIOD_MS = 5000;

/** Keeps the gauges up to date until the returned function is called. */
export function reportGauges(
  { clock, registry }: { readonly clock: Clock; readonly registry: MetricRegistry },
  feed: SnapshotFeed,
  identity: () => IdentityMaterial | null,
): () => void {
  const connected = registry
    .gauge('tulle_control_plane_connected', 'Whether the stream to the control plane is open.')
    .with();
  const expiry = registry
    .gauge('tulle_identity_certificate_expiry_seconds', 'Unix time at which the certificate in force ends; 0: none.')
    .with();
  const destinations = registry.gauge('tulle_destinations', 'Destinations followed, by state.', ['state']);
  const refused = registry.gauge('tulle_xds_refused', 'Whether the last response of a type was refused.', ['type']);
  const update = (): void => {
    connected.set(feed.connected.value ? 1 : 0);
    expiry.set((identity()?.notAfterMs ?? 0) / 1000);
    const states = [...feed.destinations.values()];
    for (const state of ['pending', 'ready', 'unknown'] as const) {
      destinations.with(state).set(states.filter((s) => s === state).length);
    }
    for (const type of ['listener', 'route', 'cluster', 'endpoints', 'secret']) {
      refused.with(type).set(feed.nacks.has(type) ? 1 : 0);
    }
  };
  update();
  const timer = clock.every(PERIOD_MS, update);
  return () => timer.cancel();
}
