/** Envoy as a client of a control plane on loopback. Test-only. */

/** Of an Envoy that asks for everything at this port, without TLS. */
export function envoyFlags(xdsPort: number): readonly string[] {
  return ['--config-yaml', bootstrap(xdsPort), '--use-dynamic-base-id', '--concurrency', '1', '-l', 'warning'];
}

function bootstrap(xdsPort: number): string {
  const endpoint = { address: { socket_address: { address: '127.0.0.1', port_value: xdsPort } } };
  const http2 = {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  };
  const ads = { ads: {}, resource_api_version: 'V3' };
  return JSON.stringify({
    node: { id: 'envoy', cluster: 'test' },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
      },
      lds_config: ads,
      cds_config: ads,
    },
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 },
          load_assignment: { cluster_name: 'xds', endpoints: [{ lb_endpoints: [{ endpoint }] }] },
        },
      ],
    },
  });
}
