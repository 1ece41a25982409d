import type { StepType } from "./coordinator-options.ts";

export type SettingKind = "text" | "texts" | "boolean" | "integer" | "duration";

/** One key of the configuration. */
export interface SettingSpec {
  /** With the section before it: `server.read_timeout`; of a step's parameter, the name alone. */
  readonly name: string;
  readonly kind: SettingKind;
  /** As text; empty for "not given". */
  readonly default: string;
  readonly min?: number;
  readonly max?: number;
  /** What it is for, with its unit. */
  readonly help: string;
}

const maxPort = 65_535;
/** Bodies beyond this cannot be read in place. */
const maxBodyMebibytes = 192;
const maxImageMebibytes = 128;

const integer = (name: string, fallback: number, min: number, max: number | undefined, help: string): SettingSpec => ({
  name,
  kind: "integer",
  default: String(fallback),
  min,
  ...(max === undefined ? {} : { max }),
  help,
});
const duration = (name: string, fallback: string, help: string): SettingSpec => ({
  name,
  kind: "duration",
  default: fallback,
  help,
});
const text = (name: string, fallback: string, help: string): SettingSpec => ({
  name,
  kind: "text",
  default: fallback,
  help,
});
const boolean = (name: string, fallback: boolean, help: string): SettingSpec => ({
  name,
  kind: "boolean",
  default: String(fallback),
  help,
});

/** Keys that are no step. Each has an environment variable. */
export const settingTable: readonly SettingSpec[] = [
  integer("log_level", 2, 0, 10, "up to 3 `info`, from 4 on `debug`"),
  boolean("tracing", false, "export spans as OTEL_* variables say"),
  text("server.listen_addr", ":8080", "host and port to listen on"),
  duration("server.read_timeout", "30s", "for the whole body of a request; 0 for no limit"),
  duration("server.write_timeout", "120s", "for a client that takes nothing of what waits for it; 0 for no limit"),
  duration("server.shutdown_timeout", "25s", "for open requests after SIGTERM"),
  integer("server.max_request_body_size", 64, 0, maxBodyMebibytes, "MiB; 0 is the default"),
  integer("server.metrics_port", 0, 0, maxPort, "port of /metrics, /healthz and /readyz; 0 for none"),
  text("gateway.address", "", "base URL of the gateway"),
  integer("gateway.max_idle_conns_per_host", 100, 0, undefined, "connections that are kept; 0 stands for 2"),
  duration("gateway.idle_conn_timeout", "90s", "how long they are kept; 0 for no limit"),
  duration("gateway.timeout", "60s", "for the whole answer of encode and prefill; 0 for no limit"),
  duration("gateway.decode_timeout", "0s", "until the answer of decode begins; 0 for no limit"),
  integer("gateway.max_response_body_size", 64, 1, maxBodyMebibytes, "MiB of an answer of render, encode or prefill"),
  text("pipeline.kv_connector", "kv-shared-storage", "kv-shared-storage, kv-nixl or kv-sglang"),
  text("pipeline.ec_connector", "ec-shared-storage", "ec-shared-storage or ec-nixl"),
  boolean("pipeline.use_openai_format", true, "false: prefill and encode get token ids at /inference/v1/generate"),
  text("pipeline.sglang_bootstrap_host", "", "where decode servers meet the prefill server, with kv-sglang"),
];

/** Any step may choose these for itself; empty: as the pipeline has it. */
const choices: readonly SettingSpec[] = [
  text("kv_connector", "", "as pipeline.kv_connector"),
  text("ec_connector", "", "as pipeline.ec_connector"),
  { name: "use_openai_format", kind: "boolean", default: "", help: "as pipeline.use_openai_format" },
];

/** Parameters of each type of step. */
export const stepTable: Readonly<Record<StepType, readonly SettingSpec[]>> = {
  "replace-media-urls": [
    duration("download_timeout", "10s", "of one image; 0 for no limit"),
    integer("max_concurrent_downloads", 10, 1, 1024, "images at the same time"),
    integer("max_multimodal_entries", 0, 0, undefined, "images of a request; 0 for 10,000"),
    integer("max_download_size", 10, 1, maxImageMebibytes, "MiB of one image"),
    integer("max_total_download_size", 64, 1, maxImageMebibytes, "MiB of all images of a request"),
    boolean("allow_private_networks", false, "images from 10/8, 172.16/12 and 192.168/16"),
    { name: "allowed_domains", kind: "texts", default: "", help: "hosts that images may come from; none: any" },
    ...choices,
  ],
  render: [
    text("address", "", "base URL of the rendering service"),
    duration("timeout", "30s", "of one call; 0 for no limit"),
    integer("max_idle_conns_per_host", 100, 0, undefined, "connections that are kept; 0 stands for 2"),
    duration("idle_conn_timeout", "90s", "how long they are kept; 0 for no limit"),
    integer("max_total_tokens", 0, 0, undefined, "tokens of a prompt; 0 for no limit"),
    integer("max_total_placeholder_tokens", 0, 0, undefined, "tokens of all images of a prompt; 0 for no limit"),
    ...choices,
  ],
  "conditional-decode": choices,
  encode: [integer("max_parallel", 8, 1, 1024, "images at the same time"), ...choices],
  prefill: choices,
  decode: choices,
};

/** The environment variable of a key. */
export function variableOf(name: string): string {
  return `COORDINATOR_${name.replaceAll(".", "_").toUpperCase()}`;
}
