/**
 * What a local answer means, for people: the table of failures with cause and cure. The compiler sees to it that none is left out.
 */
import { FAILURES, type FailureKind } from '../../proxy/exchange/failure.ts';

interface Explanation {
  readonly cause: string;
  readonly cure: string;
}

const CLIENT_WRONG = 'the client sends what HTTP/1.1 does not allow';

const EXPLANATIONS: Readonly<Record<FailureKind, Explanation>> = {
  'rate-limited': {
    cause: 'a TrafficPolicy with `rateLimit` is attached to the Service, and the caller asks more often than it allows',
    cure: 'wait for `retry-after`, or raise the limit',
  },
  'fault-abort': {
    cause: 'a TrafficPolicy with `fault.abort` is in force',
    cure: 'remove it when the test is over',
  },
  'no-route': {
    cause: 'no rule of the HTTPRoute matches host, path, method and headers',
    cure: 'add a rule, or look which routes are attached: `/config_dump`',
  },
  'no-cluster': {
    cause: 'a rule leads to a backend that this sidecar has not been told of',
    cure: 'see the log of the sidecar for refused resources, and `/config_dump`',
  },
  'no-healthy-endpoint': {
    cause: 'the Service has no ready endpoint, or none came within 3 s',
    cure: 'look at readiness of the pods and the selector of the Service; `/clusters`',
  },
  'unknown-destination': {
    cause:
      'the control plane does not know this name or address and it cannot or may not be passed on, or it did not answer within 3 s',
    cure: 'write name and port of the Service; an ExternalService makes a host known; look at the MeshPolicy, `--unknown-destinations` and at `tulle_control_plane_connected`',
  },
  'unavailable-destination': {
    cause: 'every backend of the rule has weight 0 or does not exist',
    cure: 'see the status of the route, condition `ResolvedRefs`, and its weights',
  },
  'connect-failure': {
    cause: 'no connection to the endpoint: refused or unreachable',
    cure: "is the application listening on the Service's target port?",
  },
  'connect-timeout': {
    cause: 'the endpoint did not take the connection in time',
    cure: 'network policy or an overloaded host; `timeouts.connect`. From the inbound side of a sidecar: the application accepts no connection for 5 s (`ss -ltn`: Recv-Q above Send-Q)',
  },
  'tls-failure': {
    cause: 'the handshake failed, or the peer proved another identity than expected',
    cure: "compare `/certs` on both sides; the sidecar's log names the identity",
  },
  'refused-stream': {
    cause: 'the peer refused the request unread',
    cure: 'retried by default; the peer is draining or at its limit',
  },
  'upstream-reset': {
    cause: 'the connection ended before the answer was complete',
    cure: 'the application crashed or closed; its log tells',
  },
  'upstream-protocol-error': {
    cause: 'the application answered what is no valid HTTP',
    cure: 'look at the detail in the access log; is the port declared rightly (`appProtocol`)?',
  },
  'response-headers-too-large': {
    cause: 'the head of the answer is over the limit',
    cure: '`--max-head-bytes`, `--max-fields`',
  },
  'request-timeout': {
    cause: 'the answer did not come within `timeouts.request`',
    cure: 'a slow application, or too short a timeout',
  },
  'per-try-timeout': {
    cause: 'no try was answered within `timeouts.perTry`',
    cure: 'a slow application, or too short a timeout',
  },
  'idle-timeout': {
    cause: 'nothing moved on the request for `timeouts.idle`',
    cure: 'send something now and then, or lengthen it',
  },
  overflow: { cause: 'a limit on connections or waiting requests is reached', cure: 'more replicas, or higher limits' },
  loop: {
    cause: 'the request came back to the sidecar that sent it',
    cure: 'a Service that selects its own client, or a proxy setting that leads in a circle',
  },
  'bad-request': { cause: CLIENT_WRONG, cure: 'the access log says what exactly; Tulle is strict on purpose' },
  'uri-too-long': { cause: 'the request target is over the limit', cure: '`--max-target-bytes`' },
  'headers-too-large': {
    cause: 'the head of the request is over the limit',
    cure: '`--max-head-bytes`, `--max-fields`',
  },
  'unsupported-encoding': {
    cause: 'a `transfer-encoding` other than `chunked`',
    cure: 'send chunked or with `content-length`',
  },
  'unsupported-version': {
    cause: 'an HTTP version other than 1.0 and 1.1',
    cure: 'HTTP/2 of applications is not carried yet',
  },
  'unsupported-expectation': { cause: 'an `expect` other than `100-continue`', cure: 'leave it out' },
  'payload-too-large': { cause: 'the body is over a limit', cure: 'send less' },
  'request-header-timeout': {
    cause: 'the request head did not arrive within `--head-timeout`',
    cure: 'a slow or stuck client',
  },
  'request-body-timeout': {
    cause: 'no byte of the request body came for `--body-idle`',
    cure: 'a stuck client; or one that waits within its body for something else: send `content-type: application/grpc`, or lengthen it',
  },
  'connect-not-supported': {
    cause: 'the method `CONNECT`',
    cure: 'use the HTTP proxy for http: URLs only; let https: URLs go directly (`NO_PROXY`)',
  },
  'downstream-reset': {
    cause: 'the client went away before the answer was complete',
    cure: "nobody to answer; the client's own timeout is shorter",
  },
  draining: {
    cause: 'the sidecar is ending and takes no new requests',
    cure: 'retried by other sidecars; is readiness off before the pod ends?',
  },
  internal: { cause: 'a mistake of ours', cure: 'please report it with the log line' },
};

const GRPC: Readonly<Record<number, string>> = {
  1: 'CANCELLED',
  4: 'DEADLINE_EXCEEDED',
  8: 'RESOURCE_EXHAUSTED',
  12: 'UNIMPLEMENTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
};

export function failureTable(): string[][] {
  const rows = (Object.keys(EXPLANATIONS) as FailureKind[]).map((kind) => {
    const { status, grpc, flag } = FAILURES[kind];
    const { cause, cure } = EXPLANATIONS[kind];
    return [
      `\`${kind}\``,
      status === 0 ? 'none' : String(status),
      GRPC[grpc] ?? String(grpc),
      `\`${flag}\``,
      cause,
      cure,
    ];
  });
  return [['`tulle-reason`', 'HTTP', 'gRPC', 'flag', 'cause', 'cure'], ...rows];
}
