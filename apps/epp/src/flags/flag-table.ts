/** How a flag's value is written. */
export type FlagKind = "string" | "integer" | "boolean" | "duration" | "size" | "list";

export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  readonly kind: FlagKind;
  /** Text form of the default. */
  readonly default: string;
  readonly help: string;
  /** Range of integers, both ends included. */
  readonly min?: number;
  readonly max?: number;
  readonly oneOf?: readonly string[];
  /**
   * `no-effect`: accepted so that existing command lines work; said once at start when set.
   * `removed`: setting it is an error that names the replacement.
   * `unavailable`: setting it to anything but the default is an error, since what it asks for is not part of this version.
   */
  readonly status?: "no-effect" | "removed" | "unavailable";
  /** Why, for `no-effect`, `removed` and `unavailable`. */
  readonly note?: string;
}

const port = { kind: "integer", min: 0, max: 65535 } as const;
const engineMetrics = 'set the metric in "engineConfigs" of the core-metrics-extractor plugin';

/** Every flag. Names, shorts and defaults follow the Go picker; those marked "Pointsman" are additions. Source: spec ext-proc 10.1. */
export const flagTable: readonly FlagSpec[] = [
  { ...port, name: "grpc-port", default: "9002", help: "Port of ext_proc; 0 chooses a free one." },
  { ...port, name: "grpc-health-port", default: "9003", help: "Port of the gRPC health service, always plaintext." },
  { ...port, name: "metrics-port", default: "9090", help: "Port of metrics, profiles and the admin API." },
  {
    name: "pool-name",
    kind: "string",
    default: "",
    help: "Name of the InferencePool to follow; with a discovery plugin only a label, `epp` when empty.",
  },
  {
    name: "pool-namespace",
    kind: "string",
    default: "",
    help: "Namespace of the pool; else the environment's NAMESPACE, else `default`.",
  },
  { name: "pool-group", kind: "string", default: "inference.networking.k8s.io", help: "API group of the pool." },
  {
    name: "endpoint-selector",
    kind: "string",
    default: "",
    help: "Label selector of the pods of a pool without InferencePool, in Kubernetes' syntax.",
  },
  {
    name: "endpoint-target-ports",
    kind: "list",
    default: "",
    help: "Ports that the selected pods serve on, 1 to 8, with commas between them.",
  },
  {
    name: "disable-endpoint-subset-filter",
    kind: "boolean",
    default: "false",
    help: "Ignore the proxy's subset hint.",
  },
  {
    name: "emit-endpoint-scores",
    kind: "boolean",
    default: "false",
    help: "Report the candidates' scores in the metadata.",
  },
  {
    name: "config-file",
    kind: "string",
    default: "",
    help: "Path of the configuration; the built-in one when absent.",
  },
  { name: "config-text", kind: "string", default: "", help: "The configuration itself." },
  { name: "allow-experimental-plugins", kind: "boolean", default: "false", help: "Allow plugins of stability alpha." },
  {
    name: "ha-enable-leader-election",
    kind: "boolean",
    default: "false",
    help: "One active replica at a time, elected through a Lease; has no effect with a discovery plugin.",
  },
  {
    name: "drain-timeout",
    kind: "duration",
    default: "30s",
    help: "Time after SIGTERM in which the picker is not ready and serves on, so that proxies can turn away.",
  },
  {
    name: "grpc-max-recv-msg-size",
    kind: "size",
    default: "",
    help: "Largest message from the proxy; 4MiB when empty.",
  },
  {
    name: "grpc-max-send-msg-size",
    kind: "size",
    default: "",
    help: "Largest message to the proxy; unlimited when empty.",
  },
  {
    name: "refresh-metrics-interval",
    kind: "duration",
    default: "50ms",
    help: "Time between scrapes of an endpoint, at least 50ms.",
  },
  {
    name: "refresh-prometheus-metrics-interval",
    kind: "duration",
    default: "5s",
    help: "Time between updates of the pool gauges.",
    status: "no-effect",
    note: "pool gauges are computed when the metrics page is read",
  },
  {
    name: "metrics-staleness-threshold",
    kind: "duration",
    default: "2s",
    help: "Age from which a signal counts as unknown.",
  },
  { name: "health-checking", kind: "boolean", default: "false", help: "Serve health on the ext_proc port too." },
  { name: "secure-serving", kind: "boolean", default: "true", help: "TLS on the ext_proc port." },
  { name: "cert-path", kind: "string", default: "", help: "Folder with tls.crt and tls.key; self-signed when empty." },
  {
    name: "enable-cert-reload",
    kind: "boolean",
    default: "false",
    help: "Reload the certificate of --cert-path when it changes.",
  },
  {
    name: "tls-min-version",
    kind: "string",
    default: "",
    help: "Lowest TLS version of the ext_proc port: VersionTLS12 or VersionTLS13; HTTP/2 has none below 1.2.",
    oneOf: ["", "VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"],
  },
  {
    name: "tls-cipher-suites",
    kind: "list",
    default: "",
    help: "Cipher suites of the ext_proc port for TLS 1.2, by their names in Go.",
  },
  {
    name: "metrics-endpoint-auth",
    kind: "boolean",
    default: "true",
    help: "Authenticate the metrics port through Kubernetes; has no effect with a discovery plugin.",
  },
  {
    name: "metrics-cert-dir",
    kind: "string",
    default: "",
    help: "Folder with tls.crt and tls.key of the metrics port, watched for changes; plain HTTP when empty.",
  },
  {
    name: "metrics-client-ca-file",
    kind: "string",
    default: "",
    help: "Certificates that clients of the metrics port must have one of, watched for changes.",
  },
  {
    name: "enable-pprof",
    kind: "boolean",
    default: "true",
    help: "CPU and heap profiles of Node under /debug/pprof/ on the metrics port.",
  },
  {
    name: "enable-grpc-stream-metrics",
    kind: "boolean",
    default: "false",
    help: "Metrics of ext_proc streams.",
  },
  {
    name: "tracing",
    kind: "boolean",
    default: "true",
    help: "OpenTelemetry tracing, once this flag is given or OTEL_TRACES_EXPORTER is set.",
  },
  { name: "v", short: "v", kind: "integer", default: "2", help: "Log verbosity: up to 3 info, from 4 on debug." },
  {
    name: "zap-log-level",
    kind: "string",
    default: "",
    help: "Log level (debug, info, error, panic or a verbosity); beats -v.",
  },
  { name: "zap-devel", kind: "boolean", default: "false", help: "", status: "no-effect", note: "logs are JSON lines" },
  { name: "zap-encoder", kind: "string", default: "", help: "", status: "no-effect", note: "logs are JSON lines" },
  {
    name: "zap-stacktrace-level",
    kind: "string",
    default: "",
    help: "",
    status: "no-effect",
    note: "errors carry their stack",
  },
  {
    name: "zap-time-encoding",
    kind: "string",
    default: "",
    help: "",
    status: "no-effect",
    note: "times are seconds since the epoch",
  },
  {
    name: "total-queued-requests-metric",
    kind: "string",
    default: "",
    help: "",
    status: "removed",
    note: engineMetrics,
  },
  {
    name: "total-running-requests-metric",
    kind: "string",
    default: "",
    help: "",
    status: "removed",
    note: engineMetrics,
  },
  {
    name: "kv-cache-usage-percentage-metric",
    kind: "string",
    default: "",
    help: "",
    status: "removed",
    note: engineMetrics,
  },
  { name: "lora-info-metric", kind: "string", default: "", help: "", status: "removed", note: engineMetrics },
  { name: "cache-info-metric", kind: "string", default: "", help: "", status: "removed", note: engineMetrics },
  { name: "bind-address", kind: "string", default: "0.0.0.0", help: "Address that all ports listen on (Pointsman)." },
  {
    name: "endpoints-file",
    kind: "string",
    default: "",
    help: "Endpoints for the built-in configuration, watched for changes (Pointsman).",
  },
  {
    name: "ext-proc-socket",
    kind: "string",
    default: "",
    help: "Path of a Unix socket for ext_proc, in plaintext, besides --grpc-port (Pointsman).",
  },
  {
    name: "http-proxy-port",
    kind: "integer",
    min: -1,
    max: 65535,
    default: "-1",
    help: "Port of the built-in HTTP proxy; 0 chooses a free one, -1 leaves it off (Pointsman).",
  },
  {
    name: "drain-whole-window",
    kind: "string",
    default: "auto",
    oneOf: ["auto", "true", "false"],
    help: "Keep --drain-timeout also when no request is open; auto: in a Kubernetes pod (Pointsman).",
  },
  {
    name: "ext-proc-transport",
    kind: "string",
    default: "http2",
    oneOf: ["http2", "grpc-js"],
    help: "gRPC implementation of the ext_proc and health ports (Pointsman).",
  },
  {
    name: "max-request-body-size",
    kind: "size",
    default: "64MiB",
    help: "A larger request body is answered with 413 (Pointsman).",
  },
  {
    name: "max-held-body-size",
    kind: "size",
    default: "1GiB",
    help: "Request bodies that are not routed yet, all together; beyond it requests are answered with 503. As much is kept of answers; beyond it they pass on unread (Pointsman).",
  },
  {
    name: "error-format",
    kind: "string",
    default: "text",
    oneOf: ["text", "json"],
    help: "Bodies of refused requests: a line of text, or the JSON of OpenAI's API (Pointsman).",
  },
  {
    name: "request-metrics",
    kind: "boolean",
    default: "true",
    help: "Metrics of requests are a reason to read bodies and answers; false: what no plugin reads passes unread, and counts in no such metric (Pointsman).",
  },
  {
    name: "deprecated-metrics",
    kind: "boolean",
    default: "true",
    help: "Show metrics under the names of earlier llm-d releases, too (Pointsman).",
  },
  {
    name: "config-reload",
    kind: "boolean",
    default: "true",
    help: "Follow changes of --config-file; SIGHUP reads it at once (Pointsman).",
  },
  {
    name: "decision-log-size",
    kind: "integer",
    min: 0,
    max: 100_000,
    default: "256",
    help: "Decisions kept for `epp explain` (Pointsman).",
  },
];
