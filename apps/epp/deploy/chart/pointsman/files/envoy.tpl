{{- /* Made by tools/deploy/generate.ts. */ -}}
admin:
  address:
    socket_address:
      address: 127.0.0.1
      port_value: {{ .Values.standalone.envoy.adminPort }}
static_resources:
  listeners:
    - name: inference
      address:
        socket_address:
          address: 0.0.0.0
          port_value: {{ .Values.standalone.port }}
      per_connection_buffer_limit_bytes: 1048576
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: inference
                codec_type: AUTO
                use_remote_address: true
                preserve_external_request_id: true
                stream_idle_timeout: 3600s
                early_header_mutation_extensions:
                  - name: envoy.http.early_header_mutation.header_mutation
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation
                      mutations:
                        - remove: x-gateway-destination-endpoint
                route_config:
                  name: inference
                  virtual_hosts:
                    - name: inference
                      domains:
                        - "*"
                      routes:
                        - match:
                            prefix: /
                          route:
                            cluster: model-servers
                            timeout: 0s
                            idle_timeout: 3600s
                http_filters:
                  - name: envoy.filters.http.ext_proc
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
                      grpc_service:
                        envoy_grpc:
                          cluster_name: endpoint-picker
                      failure_mode_allow: false
                      message_timeout: 1000s
                      processing_mode:
                        request_header_mode: SEND
                        response_header_mode: SEND
                        request_body_mode: FULL_DUPLEX_STREAMED
                        response_body_mode: STREAMED
                        request_trailer_mode: SEND
                        response_trailer_mode: SEND
                      metadata_options:
                        receiving_namespaces:
                          untyped:
                            - envoy.lb
                        forwarding_namespaces:
                          untyped:
                            - envoy.lb
                            - envoy.lb.subset_hint
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                      suppress_envoy_headers: true
  clusters:
    - name: endpoint-picker
      type: {{ .picker.clusterType }}
      connect_timeout: 5s
      circuit_breakers:
        thresholds:
          - max_connections: 1000000
            max_pending_requests: 1000000
            max_requests: 1000000
            max_retries: 1000
      health_checks:
        - timeout: 1s
          interval: 1s
          no_traffic_interval: 1s
          unhealthy_threshold: 1
          healthy_threshold: 1
          tcp_health_check: {}
      common_lb_config:
        healthy_panic_threshold:
          value: 0
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config:
            http2_protocol_options:
              max_concurrent_streams: 1000
              initial_stream_window_size: 1048576
              initial_connection_window_size: 16777216
{{- if .Values.tls.enabled }}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context:
            alpn_protocols:
              - h2
{{- end }}
      load_assignment:
        cluster_name: endpoint-picker
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address:
                    socket_address:
                      address: {{ .picker.address }}
                      port_value: {{ .Values.ports.extProc }}
    - name: model-servers
      type: ORIGINAL_DST
      lb_policy: CLUSTER_PROVIDED
      connect_timeout: 5s
      circuit_breakers:
        thresholds:
          - max_connections: 1000000
            max_pending_requests: 1000000
            max_requests: 1000000
            max_retries: 1000
      original_dst_lb_config:
        use_http_header: true
        http_header_name: x-gateway-destination-endpoint
