/**
 * A request's header section to the model and back (RFC 9113 8.3.1, RFC 8441 4): pseudo-header fields, body, what one hop keeps.
 * Refuses what two readers could understand differently; a refusal of kind `bad-request` is a malformed message, a stream error.
 */
import { COLON, normalizeAuthority, parseDecimal } from '../grammar.ts';
import { HeaderList } from '../headers.ts';
import {
  type BodyKind,
  bodyOfLength,
  CHUNKED_BODY,
  type HeadLimits,
  NO_BODY,
  type ParseFailure,
  RequestHead,
} from '../message.ts';
import { isProtocol } from '../upgrade.ts';
import { isMethod, isPath, isValue, RULE, ruleOf, type Rule } from './field-rules.ts';

function malformed(detail: string): ParseFailure {
  return { kind: 'bad-request', detail };
}

/** One for a connection; holds the parts of one section while it is read. */
export class RequestFields {
  readonly #maxTargetBytes: number;
  readonly #extendedConnect: boolean;
  #method = '';
  #path = '';
  #scheme = '';
  #authority = '';
  #protocol = '';
  #host = '';
  #cookie = '';
  #expect = '';
  #contentLength = -1;
  #trailers = false;
  /** The last authority as it came and as it is meant: on one connection it rarely changes. */
  #authorityText = '';
  #authorityMeant: string | null = null;

  /** @param extendedConnect whether we told the peer that CONNECT may name a protocol (RFC 8441 3) */
  constructor(limits: HeadLimits, extendedConnect: boolean) {
    this.#maxTargetBytes = limits.maxTargetBytes;
    this.#extendedConnect = extendedConnect;
  }

  /** @param fields name, value ... as decoded, pseudo-header fields included */
  read(fields: readonly string[], endStream: boolean): RequestHead | ParseFailure {
    this.#reset();
    let at = 0;
    for (; at < fields.length && fields[at]!.charCodeAt(0) === COLON; at += 2) {
      const refused = this.#takePseudo(fields[at]!, fields[at + 1]!);
      if (refused !== null) return refused;
    }
    const kept: string[] = [];
    for (; at < fields.length; at += 2) {
      const name = fields[at]!;
      const value = fields[at + 1]!;
      const rule = ruleOf(name);
      if (rule === RULE.malformed)
        return malformed('a field name is not a lower-case token, or a pseudo-header field comes late');
      if (!isValue(value)) return malformed('a field value holds a control character or begins or ends with a blank');
      if (rule === RULE.plain) {
        kept.push(name, value);
        continue;
      }
      const refused = this.#takeSpecial(rule, value, kept);
      if (refused !== null) return refused;
    }
    if (this.#cookie !== '') kept.push('cookie', this.#cookie);
    return this.#judge(new HeaderList(kept), endStream);
  }

  #reset(): void {
    this.#method = '';
    this.#path = '';
    this.#scheme = '';
    this.#authority = '';
    this.#protocol = '';
    this.#host = '';
    this.#cookie = '';
    this.#expect = '';
    this.#contentLength = -1;
    this.#trailers = false;
  }

  /** An empty pseudo-header field is as malformed as an absent one, so '' stands for both; a second one is refused. */
  #takePseudo(name: string, value: string): ParseFailure | null {
    if (value === '') return malformed('a pseudo-header field is empty');
    let before: string;
    switch (name) {
      case ':method':
        before = this.#method;
        this.#method = value;
        break;
      case ':path':
        before = this.#path;
        this.#path = value;
        break;
      case ':scheme':
        before = this.#scheme;
        this.#scheme = value;
        break;
      case ':authority':
        before = this.#authority;
        this.#authority = value;
        break;
      case ':protocol':
        before = this.#extendedConnect ? this.#protocol : 'unknown';
        this.#protocol = value;
        break;
      default:
        return malformed('a pseudo-header field that is not defined for requests');
    }
    return before === '' ? null : malformed('a pseudo-header field comes twice, or was not agreed on');
  }

  #takeSpecial(rule: Rule, value: string, kept: string[]): ParseFailure | null {
    switch (rule) {
      case RULE.host:
        if (this.#host !== '' || value === '') return malformed('more than one host field, or an empty one');
        this.#host = value;
        return null;
      case RULE.contentLength:
        if (this.#contentLength !== -1) return malformed('more than one content-length');
        this.#contentLength = parseDecimal(value);
        return this.#contentLength === -1 ? malformed('content-length is not a number') : null;
      case RULE.te:
        if (value.toLowerCase() !== 'trailers') return malformed('te says something else than trailers');
        if (!this.#trailers) kept.push('te', 'trailers');
        this.#trailers = true;
        return null;
      case RULE.cookie:
        // RFC 9113 8.2.3: crumbs are one field to everybody else.
        this.#cookie = this.#cookie === '' ? value : `${this.#cookie}; ${value}`;
        return null;
      case RULE.expect:
        this.#expect = this.#expect === '' ? value : `${this.#expect}, ${value}`;
        kept.push('expect', value);
        return null;
      case RULE.plain:
      case RULE.malformed:
      case RULE.forbidden:
        return malformed('a field that belongs to one HTTP/1.1 connection');
    }
  }

  #judge(headers: HeaderList, endStream: boolean): RequestHead | ParseFailure {
    const method = this.#method;
    if (!isMethod(method)) return malformed(':method is missing or not a token');
    const authority = this.#settleAuthority();
    if (authority === null) return malformed(':authority or host is missing or not a host, or the two differ');
    const scheme = this.#scheme.toLowerCase();
    const refused = method === 'CONNECT' ? this.#judgeConnect(scheme) : this.#judgeTarget(scheme);
    if (refused !== null) return refused;
    const body = this.#body(endStream);
    if ('detail' in body) return body;
    if (this.#expect !== '' && this.#expect.toLowerCase() !== '100-continue') {
      return { kind: 'unsupported-expectation', detail: 'an expectation other than 100-continue' };
    }
    const path = this.#path === '' ? authority : this.#path;
    const asked = scheme === 'https' ? 'https' : 'http';
    const expects = this.#expect !== '';
    return new RequestHead(method, path, asked, authority, 20, headers, body, true, expects, this.#protocol, false);
  }

  #judgeTarget(scheme: string): ParseFailure | null {
    if (this.#protocol !== '') return malformed(':protocol without CONNECT');
    if (scheme !== 'http' && scheme !== 'https') return malformed(':scheme is missing, or neither http nor https');
    if (this.#path === '') return malformed(':path is missing');
    if (this.#path.length > this.#maxTargetBytes) return { kind: 'uri-too-long', detail: ':path is too long' };
    const isStar = this.#path === '*' && this.#method === 'OPTIONS';
    return isStar || isPath(this.#path)
      ? null
      : malformed(':path does not begin with a slash, or holds what a target may not');
  }

  /** RFC 9113 8.5: host and port only. RFC 8441 4: with a protocol, a target like any other. */
  #judgeConnect(scheme: string): ParseFailure | null {
    if (this.#protocol !== '') {
      if (!isProtocol(this.#protocol)) return malformed(':protocol is not the name of a protocol');
      const protocol = this.#protocol;
      this.#protocol = '';
      const refused = this.#judgeTarget(scheme);
      this.#protocol = protocol;
      return refused;
    }
    if (this.#scheme !== '' || this.#path !== '') return malformed('CONNECT with :scheme or :path');
    const authority = this.#authority;
    const hasPort = authority.lastIndexOf(':') > authority.lastIndexOf(']');
    return authority !== '' && hasPort ? null : malformed('the target of CONNECT is not host:port');
  }

  /** RFC 9113 8.3.1: where both are given they must agree, for one is routed by and the other may be believed further on. */
  #settleAuthority(): string | null {
    const text = this.#authority === '' ? this.#host : this.#authority;
    if (text !== this.#authorityText) {
      this.#authorityText = text;
      this.#authorityMeant = normalizeAuthority(text);
    }
    const meant = this.#authorityMeant;
    if (meant === null || text === '' || this.#host === '' || this.#host === text) return text === '' ? null : meant;
    const host = normalizeAuthority(this.#host);
    return host !== null && withPort(host, this.#scheme) === withPort(meant, this.#scheme) ? meant : null;
  }

  #body(endStream: boolean): BodyKind | ParseFailure {
    const length = this.#contentLength;
    if (this.#method === 'CONNECT' && length !== -1) return malformed('CONNECT with content-length');
    if (!endStream) return length === -1 ? CHUNKED_BODY : bodyOfLength(length);
    if (length > 0) return malformed('content-length promises a body, and the stream ends');
    return length === 0 ? bodyOfLength(0) : NO_BODY;
  }
}

function withPort(authority: string, scheme: string): string {
  const port = scheme.toLowerCase() === 'https' ? ':443' : ':80';
  return authority.endsWith(port) ? authority : authority + port;
}

/** What may be left out is: a request is written from the model alone. */
export function requestFields(head: RequestHead, body: BodyKind): string[] {
  const method = head.upgrade === '' ? head.method : 'CONNECT';
  const isConnect = method === 'CONNECT';
  const fields = [':method', method];
  if (!isConnect || head.upgrade !== '') fields.push(':scheme', head.scheme, ':path', head.path);
  if (head.authority !== '') fields.push(':authority', head.authority);
  if (isConnect && head.upgrade !== '') fields.push(':protocol', head.upgrade);
  if (body.kind === 'length') fields.push('content-length', String(body.length));
  const own = head.headers.fields;
  for (let i = 0; i < own.length; i++) fields.push(own[i]!);
  return fields;
}
