/**
 * Asks an application whether it is ready, as a kubelet does: http, tcp or exec, with Kubernetes' timings and thresholds.
 * Until the first success it asks more often than told, for on a laptop nobody wants to wait for a period to pass.
 */
import { execFile } from 'node:child_process';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { Clock, Timer } from '#base/clock.ts';
import type { Container, Probe } from '../../control-plane/kinds/pod-spec.ts';

export interface ProbeTarget {
  readonly address: string;
  readonly ports: Container['ports'];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

const EAGER_PERIOD_MS = 200;

/** One look at the application: true for success. Never rejects. */
export type Look = () => Promise<boolean>;

export class Prober {
  readonly #probe: Probe;
  readonly #look: Look;
  readonly #clock: Clock;
  readonly #onChange: (ready: boolean) => void;
  #timer: Timer | null = null;
  #ready = false;
  #wasReady = false;
  #successes = 0;
  #failures = 0;
  #epoch = 0;

  constructor(probe: Probe, look: Look, clock: Clock, onChange: (ready: boolean) => void) {
    this.#probe = probe;
    this.#look = look;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** A new process: not ready, whatever its predecessor was. */
  restart(): void {
    this.stop();
    this.#timer = this.#clock.after(this.#probe.initialDelayMs, () => void this.#ask(this.#epoch));
  }

  /** Not ready from now on; answers still under way do not count. */
  stop(): void {
    this.#epoch++;
    this.#timer?.cancel();
    this.#wasReady = false;
    this.#successes = 0;
    this.#failures = 0;
    this.#set(false);
  }

  async #ask(epoch: number): Promise<void> {
    const success = await this.#look();
    if (epoch === this.#epoch) this.#count(success);
  }

  #count(success: boolean): void {
    this.#successes = success ? this.#successes + 1 : 0;
    this.#failures = success ? 0 : this.#failures + 1;
    if (this.#successes >= this.#probe.successThreshold) this.#set(true);
    else if (this.#failures >= this.#probe.failureThreshold) this.#set(false);
    const { periodMs } = this.#probe;
    const waitMs = this.#wasReady ? periodMs : Math.min(periodMs, EAGER_PERIOD_MS);
    this.#timer = this.#clock.after(waitMs, () => void this.#ask(this.#epoch));
  }

  #set(ready: boolean): void {
    if (ready === this.#ready) return;
    this.#ready = ready;
    this.#wasReady ||= ready;
    this.#onChange(ready);
  }
}

/** How to look, by the probe's handler. A port name that the container does not have fails. */
export function lookOf(probe: Probe, target: ProbeTarget): Look {
  const { handler, timeoutMs } = probe;
  if (handler.kind === 'exec') return () => looksByCommand(handler.command, target, timeoutMs);
  const port = typeof handler.port === 'number' ? handler.port : portNamed(handler.port, target);
  if (port === null) return () => Promise.resolve(false);
  if (handler.kind === 'tcp') return () => looksByConnection(target.address, port, timeoutMs);
  const { scheme, path } = handler;
  return () => looksByRequest(scheme, target.address, port, path, timeoutMs);
}

function portNamed(name: string, target: ProbeTarget): number | null {
  return target.ports.find((p) => p.name === name)?.containerPort ?? null;
}

/** Any status from 200 to 399 is success; certificates are not checked (as the kubelet's probes). */
function looksByRequest(scheme: string, host: string, port: number, path: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host, port, path, agent: false, signal: AbortSignal.timeout(timeoutMs) } as const;
    const onResponse = (response: http.IncomingMessage): void => {
      response.resume();
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400);
    };
    const request =
      scheme === 'HTTPS'
        ? https.get({ ...options, rejectUnauthorized: false }, onResponse)
        : http.get(options, onResponse);
    request.on('error', () => resolve(false));
  });
}

function looksByConnection(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: timeoutMs });
    const finish = (success: boolean): void => {
      socket.destroy();
      resolve(success);
    };
    socket.on('connect', () => finish(true));
    socket.on('timeout', () => finish(false));
    socket.on('error', () => finish(false));
  });
}

function looksByCommand(command: readonly string[], target: ProbeTarget, timeoutMs: number): Promise<boolean> {
  const [program = '', ...args] = command;
  return new Promise((resolve) => {
    execFile(program, args, { cwd: target.cwd, env: target.env, timeout: timeoutMs }, (error) =>
      resolve(error === null),
    );
  });
}
