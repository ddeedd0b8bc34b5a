/**
 * The forms of text that many kinds share: names, ports, labels, header names, addresses.
 * Knows no kind. Rules: Kubernetes "Object Names and IDs", "Labels and Selectors"; RFC 9110 5.6.2; Gateway API v1 types.
 */
import { isIP } from 'node:net';
import { MAX_REGEX_LENGTH, linearRegex } from '#base/regex.ts';
import { checked, type Field, integer, integerOrName, string } from './field.ts';
import { map } from './structure.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_ADVICE = 'use lower-case letters, digits and dashes, such as reviews-v2';

export const dnsLabel = string({ minLength: 1, maxLength: 63, pattern: LABEL, advice: LABEL_ADVICE });

/** Names of Services begin with a letter. */
export const dnsLabel1035 = string({
  minLength: 1,
  maxLength: 63,
  pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/,
  advice: 'use lower-case letters, digits and dashes, beginning with a letter, such as reviews-v2',
});

export const dnsSubdomain = string({
  minLength: 1,
  maxLength: 253,
  pattern: SUBDOMAIN,
  advice: 'use lower-case letters, digits, dashes and dots, such as reviews-v2',
});

/** A name in a list of named things of an object, such as a rule or a port of a Service. Empty is not allowed. */
export const sectionName = dnsSubdomain;

/** An API group; empty: core. */
export const apiGroup = string({
  maxLength: 253,
  pattern: /^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  advice: 'write an API group such as gateway.networking.k8s.io, or "" for the core group',
});

export const kindName = string({
  minLength: 1,
  maxLength: 63,
  pattern: /^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/,
  advice: 'write a kind such as Service',
});

export const portNumber = integer(1, 65_535);

/** A container port's name (IANA service name). */
export const portName = string({
  minLength: 1,
  maxLength: 15,
  pattern: /^(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/,
  advice: 'use at most 15 lower-case letters, digits and dashes, with a letter among them, such as http-api',
});

export const portNumberOrName = integerOrName(1, 65_535, portName);

const QUALIFIED = /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?$/;
const qualifiedName = string({ pattern: QUALIFIED, advice: 'write a key such as app or app.kubernetes.io/name' });
const labelValue = string({
  maxLength: 63,
  pattern: /^(?:[A-Za-z0-9](?:[-\w.]*[A-Za-z0-9])?)?$/,
  advice: 'use at most 63 letters, digits, dashes, underscores and dots',
});

/** `http`, `kubernetes.io/h2c`. */
export const appProtocol = qualifiedName;

/** An API server bounds objects by size, not by number of labels; no object of people comes near this. */
const MAX_LABELS = 1000;

export const labels: Field<Readonly<Record<string, string>>> = map(qualifiedName, labelValue, MAX_LABELS);
export const annotations: Field<Readonly<Record<string, string>>> = map(qualifiedName, string(), MAX_LABELS);

/** A header field name (RFC 9110 5.1). */
export const headerName = string({
  minLength: 1,
  maxLength: 256,
  pattern: /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/,
  advice: 'write a header name such as x-user-id',
});

/** A header field value as Gateway API bounds it, without control characters (RFC 9110 5.5). */
export const headerValue = string({
  minLength: 1,
  maxLength: 4096,
  pattern: /^[^\x00-\x08\x0a-\x1f\x7f]*$/, // oxlint-disable-line no-control-regex -- they are what is refused
  advice: 'leave out line breaks and other control characters',
});

/** A regular expression that can be matched in linear time. */
export const regex = checked(
  string({ minLength: 1, maxLength: MAX_REGEX_LENGTH }),
  (text) => {
    const result = linearRegex(text);
    return result.ok ? '' : result.error;
  },
  'use RE2 syntax: no look-around, no back references',
);

/** An address without port. */
export const ipAddress = checked(
  string({ minLength: 1, maxLength: 45 }),
  (text) => (isIP(text) !== 0 ? '' : `${JSON.stringify(text)} is no IP address`),
  'write an address such as 10.0.0.7 or fd00::7',
);
