/**
 * A service of the protos as grpc-js wants it. The generated code itself knows no gRPC library: the sidecar, which has its messages too, does
 * without one (decision 021).
 */
import type { ServiceDefinition } from '@grpc/grpc-js';

interface MessageType {
  encode(message: never): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

/** What ts-proto writes for a service. */
export interface GenericDefinition {
  readonly fullName: string;
  readonly methods: Readonly<
    Record<
      string,
      {
        readonly name: string;
        readonly requestType: MessageType;
        readonly requestStream: boolean;
        readonly responseType: MessageType;
        readonly responseStream: boolean;
      }
    >
  >;
}

export function grpcService({ fullName, methods }: GenericDefinition): ServiceDefinition {
  const entries = Object.entries(methods).map(([key, method]) => {
    const { name, requestType, requestStream, responseType, responseStream } = method;
    const definition = {
      path: `/${fullName}/${name}`,
      requestStream,
      responseStream,
      requestSerialize: (message: never) => Buffer.from(requestType.encode(message).finish()),
      requestDeserialize: (bytes: Buffer) => requestType.decode(bytes),
      responseSerialize: (message: never) => Buffer.from(responseType.encode(message).finish()),
      responseDeserialize: (bytes: Buffer) => responseType.decode(bytes),
    };
    return [key, definition] as const;
  });
  return Object.fromEntries(entries) as ServiceDefinition;
}
