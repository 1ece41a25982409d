import { isIP } from "node:net";
import { parse, stringify } from "yaml";

export interface EnvoyBootstrapOptions {
  readonly listenAddress: string;
  readonly listenPort: number;
  readonly adminPort: number;
  /** Where the picker is: at a port, or at a Unix socket in plaintext. */
  readonly epp:
    | { readonly address: string; readonly port: number; readonly tls: boolean }
    | { readonly socketPath: string };
  /** Text of an endpoints file: where requests go when the picker does not answer. `undefined`: they are refused. */
  readonly fallbackEndpoints: string | undefined;
}

const destinationHeader = "x-gateway-destination-endpoint";
const api = (name: string): string => `type.googleapis.com/${name}`;
const socket = (address: string, port: number) => ({ socket_address: { address, port_value: port } });

/** No limit that Envoy sets by itself may come before those of the model servers. */
const unbounded = {
  thresholds: [{ max_connections: 1e6, max_pending_requests: 1e6, max_requests: 1e6, max_retries: 1e3 }],
};

/** A bootstrap for Envoy 1.34 or later: clients -> listener -> ext_proc (the picker) -> the endpoint that it names. */
export function envoyBootstrap(options: EnvoyBootstrapOptions): string {
  const { epp } = options;
  const eppAddress = "address" in epp ? socket(epp.address, epp.port) : { pipe: { path: epp.socketPath } };
  const failOpen = options.fallbackEndpoints !== undefined;
  const route = (cluster: string) => ({
    cluster,
    // A model server may compute for minutes before the first byte, and stream for longer.
    timeout: "0s",
    idle_timeout: "3600s",
  });
  const bootstrap = {
    admin: { address: socket("127.0.0.1", options.adminPort) },
    static_resources: {
      listeners: [
        {
          name: "inference",
          address: socket(options.listenAddress, options.listenPort),
          per_connection_buffer_limit_bytes: 1048576,
          filter_chains: [
            {
              filters: [
                {
                  name: "envoy.filters.network.http_connection_manager",
                  typed_config: {
                    "@type": api("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
                    stat_prefix: "inference",
                    codec_type: "AUTO",
                    use_remote_address: true,
                    // A client's request id is the one that `epp explain` finds.
                    preserve_external_request_id: true,
                    stream_idle_timeout: "3600s",
                    // Only the picker may name a destination.
                    early_header_mutation_extensions: [
                      {
                        name: "envoy.http.early_header_mutation.header_mutation",
                        typed_config: {
                          "@type": api("envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"),
                          mutations: [{ remove: destinationHeader }],
                        },
                      },
                    ],
                    route_config: {
                      name: "inference",
                      virtual_hosts: [
                        {
                          name: "inference",
                          domains: ["*"],
                          routes: [
                            ...(failOpen
                              ? [
                                  {
                                    match: { prefix: "/", headers: [{ name: destinationHeader, present_match: true }] },
                                    route: route("model-servers"),
                                  },
                                  { match: { prefix: "/" }, route: route("without-picker") },
                                ]
                              : [{ match: { prefix: "/" }, route: route("model-servers") }]),
                          ],
                        },
                      ],
                    },
                    http_filters: [
                      {
                        name: "envoy.filters.http.ext_proc",
                        typed_config: {
                          "@type": api("envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"),
                          grpc_service: { envoy_grpc: { cluster_name: "endpoint-picker" } },
                          failure_mode_allow: failOpen,
                          message_timeout: "1000s",
                          processing_mode: {
                            request_header_mode: "SEND",
                            response_header_mode: "SEND",
                            request_body_mode: "FULL_DUPLEX_STREAMED",
                            response_body_mode: "STREAMED",
                            request_trailer_mode: "SEND",
                            response_trailer_mode: "SEND",
                          },
                          metadata_options: {
                            receiving_namespaces: { untyped: ["envoy.lb"] },
                            forwarding_namespaces: { untyped: ["envoy.lb", "envoy.lb.subset_hint"] },
                          },
                        },
                      },
                      {
                        name: "envoy.filters.http.router",
                        typed_config: {
                          "@type": api("envoy.extensions.filters.http.router.v3.Router"),
                          suppress_envoy_headers: true,
                        },
                      },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: "endpoint-picker",
          type: "address" in epp && isIP(epp.address) === 0 ? "STRICT_DNS" : "STATIC",
          connect_timeout: "5s",
          circuit_breakers: unbounded,
          // Envoy can fail open only until it has sent a piece of the body, so it must know beforehand that nobody
          // listens. Without a healthy picker a request fails, or passes, at once.
          health_checks: [
            {
              timeout: "1s",
              interval: "1s",
              no_traffic_interval: "1s",
              unhealthy_threshold: 1,
              healthy_threshold: 1,
              tcp_health_check: {},
            },
          ],
          common_lb_config: { healthy_panic_threshold: { value: 0 } },
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": api("envoy.extensions.upstreams.http.v3.HttpProtocolOptions"),
              explicit_http_config: {
                http2_protocol_options: {
                  max_concurrent_streams: 1000,
                  initial_stream_window_size: 1048576,
                  initial_connection_window_size: 16777216,
                },
              },
            },
          },
          ...("tls" in epp && epp.tls
            ? {
                // The picker's default certificate is self-signed, so it is not verified.
                transport_socket: {
                  name: "envoy.transport_sockets.tls",
                  typed_config: {
                    "@type": api("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
                    common_tls_context: { alpn_protocols: ["h2"] },
                  },
                },
              }
            : {}),
          load_assignment: {
            cluster_name: "endpoint-picker",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: eppAddress } }] }],
          },
        },
        {
          name: "model-servers",
          type: "ORIGINAL_DST",
          lb_policy: "CLUSTER_PROVIDED",
          connect_timeout: "5s",
          circuit_breakers: unbounded,
          original_dst_lb_config: { use_http_header: true, http_header_name: destinationHeader },
        },
        ...(options.fallbackEndpoints === undefined
          ? []
          : [
              {
                name: "without-picker",
                type: "STRICT_DNS",
                lb_policy: "LEAST_REQUEST",
                connect_timeout: "5s",
                circuit_breakers: unbounded,
                load_assignment: {
                  cluster_name: "without-picker",
                  endpoints: [{ lb_endpoints: fallbackHosts(options.fallbackEndpoints) }],
                },
              },
            ]),
      ],
    },
  };
  return stringify(bootstrap, { aliasDuplicateObjects: false });
}

function fallbackHosts(endpointsFile: string): unknown[] {
  const document: unknown = parse(endpointsFile);
  const entries = (document as { readonly endpoints?: unknown } | null)?.endpoints;
  if (!Array.isArray(entries) || entries.length === 0) throw new Error("lists no endpoints");
  return entries.map((entry: unknown, index) => {
    const { address, port } = entry as { readonly address?: unknown; readonly port?: unknown };
    const portNumber = Number(port);
    if (typeof address !== "string" || !Number.isInteger(portNumber) || portNumber < 1 || portNumber > 65535) {
      throw new Error(`endpoints[${index}] has no address and port`);
    }
    return { endpoint: { address: socket(address, portNumber) } };
  });
}
