/** What a port carries, as far as it is declared. A type only. */
export type AppProtocol = 'http' | 'http2' | 'grpc' | 'tcp' | 'tls' | 'unknown';
