/**
 * The forms that settings of the sidecar take: each reads one text, or says in a sentence what it must be. Knows no particular setting.
 */
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { DURATION_ADVICE, parseDuration } from '#base/duration.ts';
import { err, ok, type Result } from '#base/result.ts';
import type { HostPort } from './worker/messages.ts';

/** What an option's text becomes, or the sentence that says what it must be. */
export type Parse = (text: string) => Result<unknown, string>;

export interface Option {
  readonly name: string;
  readonly value: string;
  readonly help: string;
  readonly parse: Parse;
  /** Undefined: must be given. */
  readonly fallback: string | undefined;
  readonly repeatable?: true;
}

export const text: Parse = (value) => (value === '' ? err('must not be empty') : ok(value));
export const anyText: Parse = (value) => ok(value);

export function oneOf(...words: readonly string[]): Parse {
  return (value) => (words.includes(value) ? ok(value) : err(`must be one of ${words.join(', ')}`));
}

export function integer(min: number, max: number): Parse {
  return (value) => {
    const number = /^\d{1,12}$/.test(value) ? Number(value) : Number.NaN;
    return number >= min && number <= max ? ok(number) : err(`must be a whole number from ${min} to ${max}`);
  };
}

export function duration(minMs: number, maxMs: number): Parse {
  return (value) => {
    const ms = parseDuration(value);
    if (ms === null) return err(`is no duration; ${DURATION_ADVICE}`);
    return ms >= minMs && ms <= maxMs ? ok(ms) : err(`must be from ${minMs} to ${maxMs} milliseconds`);
  };
}

export const hostPort: Parse = (value) => {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(value);
  const address = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3] ?? -1);
  if (address === '' || port < 0 || port > 65_535 || (match?.[1] !== undefined && isIP(match[1]) !== 6)) {
    return err('must be ADDRESS:PORT, IPv6 addresses in brackets');
  }
  return ok({ address, port });
};

export const listenAddress: Parse = (value) => {
  const parsed = hostPort(value);
  if (!parsed.ok) return parsed;
  const { address } = parsed.value as HostPort;
  return isIP(address) === 0 ? err('must be an IP address of this machine and a port') : parsed;
};

export const optionalListen: Parse = (value) => (value === 'none' ? ok(null) : listenAddress(value));
/** As `dns.setServers` takes it: `192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53`. */
export const dnsServer: Parse = (value) =>
  isIP(value) !== 0 || hostPort(value).ok ? ok(value) : err('must be ADDRESS or ADDRESS:PORT');
export const ipAddress: Parse = (value) => (isIP(value) === 0 ? err('must be an IP address') : ok(value));
export const optionalIp: Parse = (value) => (value === '' ? ok(null) : ipAddress(value));

export const namedListen: Parse = (value) => {
  const equals = value.indexOf('=');
  const listen = listenAddress(value.slice(equals + 1));
  const name = value.slice(0, Math.max(0, equals));
  if (!/^[a-z0-9.-]+:\d{1,5}$/.test(name) || !listen.ok) {
    return err('must be HOST:PORT=ADDRESS:PORT, as in reviews.shop:8080=127.0.0.1:20001');
  }
  return ok({ name, ...(listen.value as HostPort) });
};

/** A label of the DNS, or several with dots: what Kubernetes takes as a name (RFC 1123). */
export const kubernetesName: Parse = (value) =>
  /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(value)
    ? ok(value)
    : err('must be a Kubernetes name: lower-case letters, digits, dashes and dots');

/** More threads than this only wait for each other. */
const MAX_CONCURRENCY = 64;

export const concurrency: Parse = (value) => {
  if (value === 'auto') return ok(Math.min(MAX_CONCURRENCY, availableParallelism()));
  const count = integer(1, MAX_CONCURRENCY)(value);
  return count.ok ? count : err(`must be auto, or a whole number from 1 to ${MAX_CONCURRENCY}`);
};

export const HOUR = 3_600_000;

export function option(name: string, value: string, fallback: string | undefined, parse: Parse, help: string): Option {
  return { name, value, fallback, parse, help };
}
