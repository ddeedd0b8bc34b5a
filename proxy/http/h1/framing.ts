/**
 * What the fields that HTTP itself acts on say together: where the body ends, whether the connection goes on, who is asked (RFC 9112 6, 9).
 * Gathered while the fields are read, so that the model never holds them; judged once the head is whole.
 */
import { FIELD, type FieldId } from '../field-names.ts';
import { isLowerToken, listMembers, normalizeAuthority, parseDecimal } from '../grammar.ts';
import { keepsTrailers, nominatedFields, type HeaderList } from '../headers.ts';
import { type BodyKind, bodyOfLength, CHUNKED_BODY, type ParseFailure, type Version } from '../message.ts';

function refused(detail: string, kind: ParseFailure['kind'] = 'bad-request'): ParseFailure {
  return { kind, detail };
}

function joined(before: string, value: string): string {
  return before === '' ? value : `${before}, ${value}`;
}

export class Framing {
  /** Normalised; null: no Host field. */
  host: string | null = null;
  /** -1: no Content-Length field. */
  contentLength = -1;
  transferEncoding: string | null = null;
  upgrade = '';
  expect = '';
  keepAliveTimeoutMs = 0;
  /** Options of Connection. */
  close = false;
  stay = false;
  #connection = '';
  #te = '';
  #upgrading = false;
  #nominated: string[] | null = null;
  /** The last Host as it came and as it is meant: on one connection it rarely changes. */
  #hostText = '';
  #hostMeant: string | null = '';
  #keepAliveText = '';
  #keepAliveMeantMs = 0;

  reset(): void {
    this.host = null;
    this.contentLength = -1;
    this.transferEncoding = null;
    this.#connection = '';
    this.upgrade = '';
    this.expect = '';
    this.keepAliveTimeoutMs = 0;
    this.close = false;
    this.stay = false;
    this.#te = '';
    this.#upgrading = false;
    this.#nominated = null;
  }

  /** Takes in one field with an id other than `FIELD.other`; returns why the message is refused, or null. */
  take(id: FieldId, value: string): ParseFailure | null {
    switch (id) {
      case FIELD.host:
        return this.#takeHost(value);
      case FIELD.contentLength:
        if (this.contentLength !== -1) return refused('more than one Content-Length');
        this.contentLength = parseDecimal(value);
        return this.contentLength === -1 ? refused('Content-Length is not a number') : null;
      case FIELD.transferEncoding:
        if (this.transferEncoding !== null) return refused('more than one Transfer-Encoding');
        this.transferEncoding = value.toLowerCase();
        return null;
      case FIELD.connection:
        this.#connection = joined(this.#connection, value);
        return null;
      case FIELD.upgrade:
        this.upgrade = joined(this.upgrade, value);
        return null;
      case FIELD.te:
        this.#te = joined(this.#te, value);
        return null;
      case FIELD.expect:
        this.expect = joined(this.expect, value);
        return null;
      case FIELD.keepAlive:
        if (value !== this.#keepAliveText) {
          this.#keepAliveText = value;
          this.#keepAliveMeantMs = keepAliveTimeoutMs(value);
        }
        this.keepAliveTimeoutMs = this.#keepAliveMeantMs;
        return null;
      case FIELD.http2Settings:
      case FIELD.proxyConnection:
      case FIELD.other:
        return null;
    }
  }

  /** Reads Connection and what depends on it. To be called once, after the last field. */
  settle(version: Version): void {
    this.#settleConnection();
    if (this.upgrade === '') return;
    // RFC 9110 7.8: ignored without the connection option, and in HTTP/1.0. h2c would smuggle requests past us.
    const offered = this.#upgrading && version === 11 ? this.upgrade.split(',').map((protocol) => protocol.trim()) : [];
    this.upgrade = offered
      .filter((protocol) => protocol !== '' && !protocol.toLowerCase().startsWith('h2c'))
      .join(', ');
  }

  /** Removes the nominated fields, and puts back what is left of TE. */
  applyTo(headers: HeaderList): void {
    if (this.#nominated !== null) for (const name of this.#nominated) headers.remove(name);
    if (this.#te !== '' && keepsTrailers(this.#te)) headers.add('te', 'trailers');
  }

  keepAlive(version: Version): boolean {
    return !this.close && (version === 11 || this.stay);
  }

  /** The body by Transfer-Encoding or Content-Length; `absent` when neither is there; or why the message is refused (RFC 9112 6.1, 6.3). */
  body(version: Version, absent: BodyKind): BodyKind | ParseFailure {
    if (this.transferEncoding === null) return this.contentLength === -1 ? absent : bodyOfLength(this.contentLength);
    if (this.contentLength !== -1) return refused('both Content-Length and Transfer-Encoding');
    if (version === 10) return refused('Transfer-Encoding in HTTP/1.0');
    if (this.transferEncoding === 'chunked') return CHUNKED_BODY;
    return isKnownShape(this.transferEncoding)
      ? refused('a transfer coding other than chunked', 'unsupported-encoding')
      : refused('Transfer-Encoding is not chunked');
  }

  #takeHost(value: string): ParseFailure | null {
    if (this.host !== null) return refused('more than one Host');
    if (value !== this.#hostText) {
      this.#hostText = value;
      this.#hostMeant = value === '' ? '' : normalizeAuthority(value);
    }
    if (this.#hostMeant === null) return refused('Host is not a host');
    this.host = this.#hostMeant;
    return null;
  }

  #settleConnection(): void {
    const value = this.#connection;
    if (value === '') return;
    if (value === 'keep-alive') this.stay = true;
    else if (value === 'close') this.close = true;
    else {
      for (const option of listMembers(value)) {
        if (option === 'close') this.close = true;
        else if (option === 'keep-alive') this.stay = true;
        else if (option === 'upgrade') this.#upgrading = true;
      }
      this.#nominated = nominatedFields(value);
    }
  }
}

/** True for codings that could be undone if we knew them: a list of tokens with one `chunked`, at the end. */
function isKnownShape(transferEncoding: string): boolean {
  const codings = transferEncoding.split(',').map((coding) => coding.trim());
  return (
    codings.length > 1 &&
    codings.indexOf('chunked') === codings.length - 1 &&
    codings.every((coding) => isLowerToken(coding) && coding !== 'identity')
  );
}

/** `timeout` of a Keep-Alive field in milliseconds; 0 when absent or senseless. */
function keepAliveTimeoutMs(value: string): number {
  for (const parameter of listMembers(value)) {
    if (!parameter.startsWith('timeout=')) continue;
    const seconds = parseDecimal(parameter.slice('timeout='.length));
    return seconds > 0 && seconds <= 86_400 ? seconds * 1000 : 0;
  }
  return 0;
}

export function isFailure(body: BodyKind | ParseFailure): body is ParseFailure {
  return 'detail' in body;
}
