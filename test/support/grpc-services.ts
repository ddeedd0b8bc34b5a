/**
 * The services of the control plane for servers and clients of grpc-js.
 * Test-only.
 */
import {
  makeGenericClientConstructor,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientOptions,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import {
  AggregatedDiscoveryServiceDefinition,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import {
  IstioCertificateServiceDefinition,
  type IstioCertificateRequest,
  type IstioCertificateResponse,
} from '#api/generated/istio/v1/auth/ca.ts';
import { grpcService, type GenericDefinition } from '../../control-plane/serve/service.ts';

export const ADS_SERVICE = grpcService(AggregatedDiscoveryServiceDefinition);
export const CERTIFICATE_SERVICE = grpcService(IstioCertificateServiceDefinition);

export interface AdsChannel extends Client {
  deltaAggregatedResources(metadata?: Metadata): ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  streamAggregatedResources(metadata?: Metadata): ClientDuplexStream<DiscoveryRequest, DiscoveryResponse>;
}

export interface CertificateChannel extends Client {
  createCertificate(
    request: IstioCertificateRequest,
    metadata: Metadata,
    done: (error: ServiceError | null, response: IstioCertificateResponse) => void,
  ): void;
}

type Constructor<Channel> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => Channel;

function clientOf<Channel>(definition: GenericDefinition): Constructor<Channel> {
  const made: unknown = makeGenericClientConstructor(grpcService(definition), definition.fullName);
  return made as Constructor<Channel>;
}

export const AdsClient = clientOf<AdsChannel>(AggregatedDiscoveryServiceDefinition);
export const CertificateClient = clientOf<CertificateChannel>(IstioCertificateServiceDefinition);
