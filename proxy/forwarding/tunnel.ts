/**
 * An exchange after its upgrade was accepted: bytes both ways until both sides have ended, or one breaks.
 * Either side may end first and the other goes on; the slower one brakes the faster one. Knows no protocol and no HTTP version.
 */
import { Deadline } from '#base/timer-wheel.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Failure, FailureKind } from '../exchange/failure.ts';
import type { DownstreamSink, DownstreamStream, UpstreamSink, UpstreamStream } from '../exchange/stream.ts';
import type { ForwardContext } from './context.ts';

export type TunnelEnv = Pick<ForwardContext, 'clock' | 'wheel' | 'tunnels'>;

/**
 * Takes both ends over, once the head of the 101 is written. Bytes that were held for the tunnel move at once.
 * @param idleTimeoutMs neither side sends for so long: both are reset; 0: never
 * @param onOver called once; what went wrong stands in the exchange
 */
export function openTunnel(
  exchange: Exchange,
  downstream: DownstreamStream,
  upstream: UpstreamStream,
  idleTimeoutMs: number,
  env: TunnelEnv,
  onOver: () => void,
): void {
  const tunnel = new Tunnel(exchange, downstream, upstream, idleTimeoutMs, env, onOver);
  upstream.tunnel(tunnel);
  downstream.tunnel(tunnel);
}

class Tunnel extends Deadline implements DownstreamSink, UpstreamSink {
  readonly #exchange: Exchange;
  readonly #downstream: DownstreamStream;
  readonly #upstream: UpstreamStream;
  readonly #idleTimeoutMs: number;
  readonly #env: TunnelEnv;
  readonly #onOver: () => void;
  #movedMs: number;
  #requestEnded = false;
  #responseEnded = false;
  #over = false;

  constructor(
    exchange: Exchange,
    downstream: DownstreamStream,
    upstream: UpstreamStream,
    idleTimeoutMs: number,
    env: TunnelEnv,
    onOver: () => void,
  ) {
    super();
    this.#exchange = exchange;
    this.#downstream = downstream;
    this.#upstream = upstream;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#env = env;
    this.#onOver = onOver;
    this.#movedMs = env.clock.now();
    env.tunnels.add(1);
    if (idleTimeoutMs > 0) env.wheel.schedule(this, idleTimeoutMs);
  }

  // --- what the client's end tells us ---------------------------------------------------------------------------

  onRequestData(chunk: Buffer, start: number, end: number): void {
    this.#exchange.bytesReceived += end - start;
    this.#movedMs = this.#env.clock.now();
    if (!this.#upstream.writeData(chunk, start, end)) this.#downstream.pauseRequest();
  }

  onRequestEnd(): void {
    this.#requestEnded = true;
    this.#upstream.end(null);
    if (this.#responseEnded) this.#end(null);
  }

  onDownstreamDrain(): void {
    this.#upstream.resumeResponse();
  }

  onDownstreamReset(detail: string): void {
    this.#upstream.reset();
    this.#end({ kind: 'downstream-reset', side: 'downstream', sent: 'body', detail });
  }

  // --- what the endpoint's end tells us -------------------------------------------------------------------------

  onResponseData(chunk: Buffer, start: number, end: number): void {
    this.#exchange.bytesSent += end - start;
    this.#movedMs = this.#env.clock.now();
    if (!this.#downstream.writeData(chunk, start, end)) this.#upstream.pauseResponse();
  }

  onResponseEnd(): void {
    this.#responseEnded = true;
    this.#downstream.end(null);
    if (this.#requestEnded) this.#end(null);
  }

  onUpstreamDrain(): void {
    this.#downstream.resumeRequest();
  }

  onUpstreamFailure(kind: FailureKind, sent: Failure['sent'], detail: string): void {
    this.#downstream.reset();
    this.#end({ kind, side: 'upstream', sent, detail });
  }

  /** Nothing: a tunnel has no body. */
  fail(): void {}
  /** Nothing: stream and head were there before the tunnel. */
  onUpstreamReady(): void {}
  onInterim(): void {}
  onResponseHead(): void {}

  // --- its end ---------------------------------------------------------------------------------------------------

  override onDeadline(): void {
    const leftMs = this.#movedMs + this.#idleTimeoutMs - this.#env.clock.now();
    if (leftMs > 0) {
      this.#env.wheel.schedule(this, leftMs);
      return;
    }
    this.#upstream.reset();
    this.#downstream.reset();
    this.#end({ kind: 'idle-timeout', side: 'local', sent: 'body', detail: 'nothing moved in the tunnel' });
  }

  #end(failure: Failure | null): void {
    if (this.#over) return;
    this.#over = true;
    if (this.wheelSlot >= 0) this.#env.wheel.cancel(this);
    this.#env.tunnels.add(-1);
    this.#exchange.failure = failure;
    this.#onOver();
  }
}
