/**
 * The fields of a TrafficPolicy about a request before it is sent anywhere: rate limit, faults, tracing.
 * Knows nothing of where they are enforced.
 */
import { duration, integer, string } from './field.ts';
import { list, object, optional, required } from './structure.ts';
import { headerName, headerValue } from './text-forms.ts';
import { count, exactlyOne, percent, yes } from './traffic-policy-parts.ts';

export const RATE_LIMIT = object({
  requests: required(count(1), 'Requests that are let through.'),
  per: required(duration('1s', '24h'), 'In this time.'),
  burst: optional(count(1), null, 'Requests that are let through at once.'),
  key: optional(
    list(
      exactlyOne({
        clientIdentity: optional(yes, null, 'Identity of the client that mutual TLS proved.'),
        header: optional(headerName, null, 'Value of a request header.'),
        sourceAddress: optional(yes, null, 'Address of the client.'),
        pathTemplate: optional(
          string({
            maxLength: 1024,
            pattern: /^(\/([^{}/?#]*|\{[a-zA-Z_][a-zA-Z0-9_]*\}))+$/,
            advice: 'write it like /users/{id}',
          }),
          null,
          'Variables of a path such as /users/{id}. Requests with another path are not limited.',
        ),
      }),
      { minItems: 1, maxItems: 8 },
    ),
    null,
    'What has a limit of its own; else all requests share one.',
  ),
});

export const TRACING = object({
  sampling: required(
    percent,
    'Percent of the traces that begin here which are sampled. Who brings a decision keeps it.',
  ),
});

export const FAULT = object({
  delay: optional(
    object({
      percent: required(percent, 'Percent of requests.'),
      duration: required(duration('1ms', '1h'), 'How long they wait.'),
    }),
    null,
    'Requests that wait before they are sent.',
  ),
  abort: optional(
    object({
      percent: required(percent, 'Percent of requests.'),
      status: required(integer(200, 599), 'Status of the answer.'),
    }),
    null,
    'Requests that are answered with an error.',
  ),
  headers: optional(
    list(
      object({ name: required(headerName, 'Name of the header.'), value: required(headerValue, 'Its whole value.') }),
      {
        maxItems: 16,
        unique: { keys: ['name'], of: ({ name }) => name },
      },
    ),
    null,
    'Only requests with all of these headers; else all requests.',
  ),
});
