/** How the text of a flag is read. */
export type FlagKind = "text" | "integer" | "boolean" | "duration" | "list";

export interface FlagSpec {
  /** Of the flag, and of the key in a configuration file. */
  readonly name: string;
  readonly kind: FlagKind;
  /** Text that stands for a flag that is not given. */
  readonly default: string;
  readonly help: string;
  /** Not a key of configuration files. */
  readonly flagOnly?: true;
  /** In a configuration file, a whole number although the flag is a text. */
  readonly yamlInteger?: true;
  /** Environment variable that gives the default. */
  readonly env?: string;
  /** No longer there: what to use instead. */
  readonly removed?: string;
  /** Accepted, without effect: why. */
  readonly noEffect?: string;
}

const tls = "use --enable-tls or --tls-insecure-skip-verify";

/** Every flag. Source: spec disaggregation, section 2; those after `tracing` with `own` in their help are Pointsman's. */
export const flagTable: readonly FlagSpec[] = [
  {
    name: "port",
    kind: "text",
    default: "8000",
    yamlInteger: true,
    help: "listen port of rank 0; rank r has port + r",
  },
  {
    name: "model-server-port",
    kind: "text",
    default: "",
    yamlInteger: true,
    help: "port of rank 0's model server on localhost (8200)",
  },
  { name: "vllm-port", kind: "text", default: "", yamlInteger: true, help: "deprecated name of --model-server-port" },
  { name: "data-parallel-size", kind: "integer", default: "1", help: "ranks, each with a port and a model server" },
  {
    name: "kv-connector",
    kind: "text",
    default: "nixlv2",
    help: "nixlv2, shared-storage, sglang, mooncake or offloading",
  },
  { name: "ec-connector", kind: "text", default: "", help: "ec-example or ec-nixl; without one, encoders are ignored" },
  {
    name: "mooncake-bootstrap-port",
    kind: "integer",
    default: "8998",
    env: "MOONCAKE_BOOTSTRAP_PORT",
    help: "port of mooncake's bootstrap servers",
  },
  {
    name: "p2p-connector-port",
    kind: "integer",
    default: "7777",
    env: "P2P_CONNECTOR_PORT",
    help: "port of rank 0's cache for peers",
  },
  {
    name: "enable-p2p-pull",
    kind: "boolean",
    default: "false",
    help: "nixlv2: prefill servers may fetch cache from a peer",
  },
  { name: "secure-proxy", kind: "boolean", default: "true", help: "serve over TLS" },
  {
    name: "cert-path",
    kind: "text",
    default: "",
    help: "folder with tls.crt and tls.key; without one the certificate is self-signed",
  },
  {
    name: "enable-tls",
    kind: "list",
    default: "",
    help: "stages whose servers are reached over TLS: prefiller, decoder, encoder",
  },
  { name: "tls-insecure-skip-verify", kind: "list", default: "", help: "stages whose certificates are not checked" },
  {
    name: "enable-ssrf-protection",
    kind: "boolean",
    default: "",
    help: "only pods of the inference pool may be targets; not given: once the pool is known. false: never",
  },
  {
    name: "inference-pool",
    kind: "text",
    default: "",
    env: "INFERENCE_POOL",
    help: "namespace/name or name of the InferencePool",
  },
  { name: "pool-group", kind: "text", default: "inference.networking.k8s.io", help: "API group of the InferencePool" },
  {
    name: "enable-prefiller-sampling",
    kind: "boolean",
    default: "",
    env: "ENABLE_PREFILLER_SAMPLING",
    help: "use one of several prefill servers at random",
  },
  { name: "max-idle-conns-per-host", kind: "integer", default: "1024", help: "idle connections kept per model server" },
  {
    name: "prefill-max-retries",
    kind: "integer",
    default: "0",
    help: "nixlv2: times a prefill is sent again after 502, 503, 504 or no connection",
  },
  { name: "prefill-retry-backoff", kind: "duration", default: "200ms", help: "wait before each of them" },
  {
    name: "decode-chunk-size",
    kind: "integer",
    default: "0",
    help: "tokens per decode request of a chat; 0: one request",
  },
  { name: "tracing", kind: "boolean", default: "false", help: "export OpenTelemetry spans" },
  { name: "metrics-port", kind: "integer", default: "0", help: "port of /metrics, /healthz, /readyz; 0: none" },
  { name: "configuration", kind: "text", default: "", flagOnly: true, help: "configuration in YAML or JSON" },
  { name: "configuration-file", kind: "text", default: "", flagOnly: true, help: "file with the configuration" },
  { name: "bind-address", kind: "text", default: "", help: "own: address to listen on; without one all" },
  {
    name: "allowed-targets",
    kind: "list",
    default: "",
    help: "own: hosts that may be prefill, encode and KV-source targets",
  },
  {
    name: "allowed-targets-file",
    kind: "text",
    default: "",
    help: "own: YAML file with such hosts, or an endpoints file",
  },
  {
    name: "prefill-failure-policy",
    kind: "text",
    default: "return",
    help: "own: return, or decode-only: the decode server does all the work",
  },
  { name: "prefill-timeout", kind: "duration", default: "0s", help: "own: time for a prefill's whole answer; 0: any" },
  { name: "encode-timeout", kind: "duration", default: "0s", help: "own: time for an encoder's whole answer; 0: any" },
  {
    name: "encode-max-parallel",
    kind: "integer",
    default: "8",
    help: "own: items of a request that are encoded at the same time",
  },
  {
    name: "max-body-bytes",
    kind: "integer",
    default: "268435456",
    help: "own: largest body that is read for prefill, encode or chunks",
  },
  { name: "shutdown-timeout", kind: "duration", default: "60s", help: "own: time for open requests after SIGTERM" },
  { name: "access-log", kind: "boolean", default: "false", help: "own: one line per request" },
  {
    name: "moriio-write-mode",
    kind: "boolean",
    default: "false",
    flagOnly: true,
    help: "MoRI-IO: prefill writes its cache to decode",
  },
  {
    name: "moriio-local-pod-ip",
    kind: "text",
    default: "",
    env: "POD_IP",
    flagOnly: true,
    help: "MoRI-IO: address of this pod",
  },
  {
    name: "moriio-decode-notify-port",
    kind: "integer",
    default: "61005",
    flagOnly: true,
    help: "MoRI-IO: notify port of decode",
  },
  {
    name: "moriio-prefill-notify-port",
    kind: "integer",
    default: "61005",
    flagOnly: true,
    help: "MoRI-IO: notify port of prefill",
  },
  {
    name: "moriio-decode-handshake-port",
    kind: "integer",
    default: "6301",
    flagOnly: true,
    help: "MoRI-IO: handshake port of decode",
  },
  {
    name: "moriio-prefill-handshake-port",
    kind: "integer",
    default: "6301",
    flagOnly: true,
    help: "MoRI-IO: handshake port of prefill",
  },
  {
    name: "moriio-parallel-dispatch",
    kind: "boolean",
    default: "false",
    flagOnly: true,
    help: "MoRI-IO: prefill and decode at the same time",
  },
  {
    name: "moriio-parallel-decode-wait-timeout",
    kind: "duration",
    default: "30s",
    flagOnly: true,
    help: "MoRI-IO: longest hold of decode's answer",
  },
  { name: "moriio-tp-size", kind: "integer", default: "1", flagOnly: true, help: "MoRI-IO: tensor-parallel size" },
  { name: "moriio-dp-size", kind: "integer", default: "1", flagOnly: true, help: "MoRI-IO: data-parallel size" },
  { name: "moriio-dp-size-local", kind: "integer", default: "0", flagOnly: true, help: "MoRI-IO: ranks per host" },
  {
    name: "moriio-remote-hosts",
    kind: "list",
    default: "",
    flagOnly: true,
    help: "MoRI-IO: hosts of the prefill side",
  },
  { name: "moriio-decode-hosts", kind: "list", default: "", flagOnly: true, help: "MoRI-IO: hosts of the decode side" },
  {
    name: "zap-log-level",
    kind: "text",
    default: "info",
    flagOnly: true,
    help: "error, info, debug, or a verbosity: from 4 on debug",
  },
  {
    name: "zap-devel",
    kind: "boolean",
    default: "false",
    flagOnly: true,
    noEffect: "logs are JSON lines",
    help: "no effect",
  },
  {
    name: "zap-encoder",
    kind: "text",
    default: "json",
    flagOnly: true,
    noEffect: "logs are JSON lines",
    help: "no effect",
  },
  {
    name: "zap-stacktrace-level",
    kind: "text",
    default: "error",
    flagOnly: true,
    noEffect: "errors carry a stack trace",
    help: "no effect",
  },
  {
    name: "zap-time-encoding",
    kind: "text",
    default: "epoch",
    flagOnly: true,
    noEffect: "times are seconds since 1970",
    help: "no effect",
  },
  { name: "connector", kind: "text", default: "", removed: "use --kv-connector", help: "removed" },
  { name: "prefiller-use-tls", kind: "boolean", default: "", flagOnly: true, removed: tls, help: "removed" },
  { name: "decoder-use-tls", kind: "boolean", default: "", flagOnly: true, removed: tls, help: "removed" },
  {
    name: "prefiller-tls-insecure-skip-verify",
    kind: "boolean",
    default: "",
    flagOnly: true,
    removed: tls,
    help: "removed",
  },
  {
    name: "decoder-tls-insecure-skip-verify",
    kind: "boolean",
    default: "",
    flagOnly: true,
    removed: tls,
    help: "removed",
  },
];
