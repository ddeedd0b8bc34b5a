/**
 * What happens while serving, for those who count and log it.
 * Knows neither metrics nor log format.
 */
import type { ResourceType } from '#api/names.ts';

export interface ServeObserver {
  connected(client: string): void;
  /** `reason` is empty when the client ended the stream by itself. */
  disconnected(client: string, reason: string): void;
  /** A response has left. `durationMs` counts from when the client was found to need one. */
  pushed(type: ResourceType, resources: number, removed: number, durationMs: number): void;
  acked(type: ResourceType): void;
  nacked(client: string, type: ResourceType, reason: string, names: readonly string[]): void;
  /** An error of ours ended the stream of this client. */
  failed(client: string, error: unknown): void;
  /** A call was refused: `reason` holds no secret. */
  refused(peer: string, reason: string): void;
}
