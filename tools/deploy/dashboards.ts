import type { Dashboard, Panel } from "./dashboard.ts";

const job = 'job=~"$job"';
const metric = (name: string): string => `llm_d_epp_${name}`;
const rate = (name: string, by: string, filter = ""): string =>
  `sum by (${by}) (rate(${metric(name)}{${job}${filter}}[$__rate_interval]))`;

/** Median, 95th and 99th percentile of a histogram in seconds. */
function latency(title: string, name: string, description: string, filter = ""): Panel {
  return {
    title,
    description,
    unit: "s",
    queries: [0.5, 0.95, 0.99].map((quantile) => [
      `histogram_quantile(${quantile}, sum by (le) (rate(${metric(name)}_bucket{${job}${filter}}[$__rate_interval])))`,
      `p${quantile * 100}`,
    ]),
  };
}

const requests: Dashboard = {
  uid: "pointsman-requests",
  title: "Pointsman: requests",
  rows: [
    {
      title: "Traffic",
      panels: [
        {
          title: "Requests by model",
          description: "Requests that were scheduled, by the model that they ask for.",
          unit: "reqps",
          queries: [[rate("request_total", "model_name"), "{{model_name}}"]],
        },
        {
          title: "Open requests",
          description: "Requests whose answers are not complete, by the model that serves them.",
          unit: "short",
          queries: [[`sum by (target_model_name) (${metric("request_running")}{${job}})`, "{{target_model_name}}"]],
        },
        {
          title: "Tokens",
          description:
            "Prompt tokens, those of them that were cached, and tokens of answers, as model servers report them.",
          unit: "short",
          queries: [
            [`sum(rate(${metric("request_input_tokens")}_sum{${job}}[$__rate_interval]))`, "prompt"],
            [`sum(rate(${metric("request_cached_tokens")}_sum{${job}}[$__rate_interval]))`, "cached"],
            [`sum(rate(${metric("request_output_tokens")}_sum{${job}}[$__rate_interval]))`, "answer"],
          ],
        },
      ],
    },
    {
      title: "Errors",
      panels: [
        {
          title: "Errors by code",
          description:
            "Requests that the picker refused, and answers of model servers that are errors (ModelServerError).",
          unit: "reqps",
          queries: [[rate("request_error_total", "error_code"), "{{error_code}}"]],
        },
        {
          title: "Share of errors",
          description: "Errors among all decisions.",
          unit: "percentunit",
          queries: [
            [
              `sum(rate(${metric("request_error_total")}{${job}}[$__rate_interval])) / sum(rate(${metric("scheduler_attempts_total")}{${job}}[$__rate_interval]))`,
              "errors",
            ],
          ],
        },
        {
          title: "Decisions by status",
          description: "Decisions that chose an endpoint, and those that did not.",
          unit: "reqps",
          queries: [[rate("scheduler_attempts_total", "status"), "{{status}}"]],
        },
      ],
    },
    {
      title: "Latency",
      panels: [
        latency(
          "Time to first token, streams",
          "request_ttft_seconds",
          "From the request to the first piece of the answer.",
          ',streaming="true"',
        ),
        latency("Whole request", "request_duration_seconds", "From the request to the end of the answer."),
        latency("Time per output token", "request_streaming_tpot_seconds", "Of streams, after the first token."),
        latency("Gap between pieces", "request_streaming_itl_seconds", "Time between pieces of streamed answers."),
        latency(
          "Time in the picker",
          "request_processing_duration_seconds",
          "From the request's headers to the decision, producers of plugins included.",
        ),
        latency("Time per token of whole answers", "request_ntpot_seconds", "Duration over output tokens."),
      ],
    },
  ],
};

const pool: Dashboard = {
  uid: "pointsman-pool",
  title: "Pointsman: pool",
  rows: [
    {
      title: "Endpoints",
      panels: [
        {
          title: "Endpoints",
          description: "All that are known, and those whose figures are fresh.",
          unit: "short",
          queries: [
            [`sum by (name) (${metric("known_endpoints")}{${job}})`, "{{name}} known"],
            [`sum by (name) (${metric("ready_endpoints")}{${job}})`, "{{name}} fresh"],
          ],
        },
        {
          title: "Scrapes that fail",
          description: "By the type of the source.",
          unit: "ops",
          queries: [[rate("datalayer_poll_errors_total", "source_type"), "{{source_type}}"]],
        },
        {
          title: "Figures that cannot be read",
          description: "Pages that lack what an extractor looks for.",
          unit: "ops",
          queries: [[rate("datalayer_extract_errors_total", "extractor_type"), "{{extractor_type}}"]],
        },
      ],
    },
    {
      title: "Load",
      panels: [
        {
          title: "Waiting requests for each endpoint",
          description: "Mean and standard deviation over the fresh endpoints.",
          unit: "short",
          queries: [
            [`max by (name) (${metric("average_queue_size")}{${job}})`, "{{name}} mean"],
            [`max by (name) (${metric("std_dev_queue_size")}{${job}})`, "{{name}} deviation"],
          ],
        },
        {
          title: "Running requests for each endpoint",
          description: "Mean and standard deviation over the fresh endpoints.",
          unit: "short",
          queries: [
            [`max by (name) (${metric("average_running_requests")}{${job}})`, "{{name}} mean"],
            [`max by (name) (${metric("std_dev_running_requests")}{${job}})`, "{{name}} deviation"],
          ],
        },
        {
          title: "KV cache in use",
          description: "Mean and standard deviation over the fresh endpoints.",
          unit: "percentunit",
          queries: [
            [`max by (name) (${metric("average_kv_cache_utilization")}{${job}})`, "{{name}} mean"],
            [`max by (name) (${metric("std_dev_kv_cache_utilization")}{${job}})`, "{{name}} deviation"],
          ],
        },
        {
          title: "Longest queues",
          description: "The ten endpoints with most waiting requests.",
          unit: "short",
          queries: [
            [
              `topk(10, max by (model_server_endpoint) (${metric("per_endpoint_queue_size")}{${job}}))`,
              "{{model_server_endpoint}}",
            ],
          ],
        },
        {
          title: "Decisions by endpoint",
          description: "How often each endpoint is chosen.",
          unit: "reqps",
          queries: [[rate("scheduler_attempts_total", "endpoint_name", ',status="success"'), "{{endpoint_name}}"]],
        },
      ],
    },
    {
      title: "Prefix cache",
      panels: [
        {
          title: "Share of the prompt that is cached",
          description: "Median and mean, where the picker sent the requests, by what it knows of prefixes.",
          unit: "percentunit",
          queries: [
            [
              `histogram_quantile(0.5, sum by (le, plugin_name) (rate(${metric("prefix_indexer_hit_ratio")}_bucket{${job}}[$__rate_interval])))`,
              "{{plugin_name}} p50",
            ],
            [
              `sum by (plugin_name) (rate(${metric("prefix_indexer_hit_ratio")}_sum{${job}}[$__rate_interval])) / sum by (plugin_name) (rate(${metric("prefix_indexer_hit_ratio")}_count{${job}}[$__rate_interval]))`,
              "{{plugin_name}} mean",
            ],
          ],
        },
        {
          title: "Cached tokens that model servers report",
          description: "Share of prompt tokens that came out of their caches.",
          unit: "percentunit",
          queries: [
            [
              `sum(rate(${metric("request_cached_tokens")}_sum{${job}}[$__rate_interval])) / sum(rate(${metric("request_input_tokens")}_sum{${job}}[$__rate_interval]))`,
              "cached",
            ],
          ],
        },
        {
          title: "Prefixes that are known",
          description: "Entries of the picker's index.",
          unit: "short",
          queries: [[`sum by (plugin_name) (${metric("prefix_indexer_size")}{${job}})`, "{{plugin_name}}"]],
        },
      ],
    },
    {
      title: "Kubernetes",
      panels: [
        {
          title: "Age of what is known",
          description: "Time since the API server last confirmed it; up to 30 seconds while all is well.",
          unit: "s",
          queries: [[`max by (resource) (${metric("kubernetes_state_age_seconds")}{${job}})`, "{{resource}}"]],
        },
        {
          title: "Selected pods",
          description: "By whether they may get requests, and why not.",
          unit: "short",
          queries: [[`max by (state) (${metric("kubernetes_pods")}{${job}})`, "{{state}}"]],
        },
        {
          title: "Leaders",
          description: "Replicas that lead; without election all do.",
          unit: "short",
          queries: [[`sum by (job) (${metric("leader")}{${job}})`, "{{job}}"]],
        },
      ],
    },
  ],
};

const picker: Dashboard = {
  uid: "pointsman-picker",
  title: "Pointsman: picker",
  rows: [
    {
      title: "Decisions",
      panels: [
        latency("Decision", "scheduler_e2e_duration_seconds", "Filters, scorers and pickers of one request."),
        latency("Answers", "response_processing_duration_seconds", "Time that the picker spends on an answer."),
        {
          title: "Configuration",
          description: "Replicas by the hash of the configuration at work: more than one line means that they differ.",
          unit: "short",
          queries: [[`count by (hash) (${metric("config_info")}{${job}})`, "{{hash}}"]],
        },
      ],
    },
    {
      title: "Plugins",
      panels: [
        {
          title: "Time for each call, p99",
          description: "The ten slowest plugins.",
          unit: "s",
          queries: [
            [
              `topk(10, histogram_quantile(0.99, sum by (le, extension_point, plugin_name) (rate(${metric("plugin_duration_seconds")}_bucket{${job}}[$__rate_interval]))))`,
              "{{extension_point}} {{plugin_name}}",
            ],
          ],
        },
        {
          title: "Time in plugins",
          description: "Seconds of each second that plugins of one kind take.",
          unit: "percentunit",
          queries: [
            [
              `sum by (extension_point) (rate(${metric("plugin_duration_seconds")}_sum{${job}}[$__rate_interval]))`,
              "{{extension_point}}",
            ],
          ],
        },
        {
          title: "Failures of plugins",
          description: "Calls that failed; the log names the reason.",
          unit: "ops",
          queries: [[rate("plugin_failures_total", "plugin_name"), "{{plugin_name}}"]],
        },
      ],
    },
    {
      title: "Process",
      panels: [
        {
          title: "CPU",
          description: "Cores in use.",
          unit: "short",
          queries: [[`sum by (instance) (rate(process_cpu_seconds_total{${job}}[$__rate_interval]))`, "{{instance}}"]],
        },
        {
          title: "Memory",
          description: "Resident memory and the heap in use.",
          unit: "bytes",
          queries: [
            [`max by (instance) (process_resident_memory_bytes{${job}})`, "{{instance}} resident"],
            [`max by (instance) (nodejs_heap_size_used_bytes{${job}})`, "{{instance}} heap"],
          ],
        },
        {
          title: "Delay of the event loop",
          description: "How late the process gets to work that is due.",
          unit: "s",
          queries: [[`max by (instance) (nodejs_eventloop_lag_p99_seconds{${job}})`, "{{instance}} p99"]],
        },
        {
          title: "Log lines left out",
          description: "Of equal lines, the first 100 of a second and then every hundredth are written.",
          unit: "ops",
          queries: [[`sum(rate(${metric("log_lines_dropped_total")}{${job}}[$__rate_interval]))`, "left out"]],
        },
        {
          title: "Violations of HTTP/2",
          description: "Connections of proxies that broke the protocol or its limits.",
          unit: "ops",
          queries: [[`sum(rate(${metric("http2_violations_total")}{${job}}[$__rate_interval]))`, "violations"]],
        },
        {
          title: "Version",
          description: "Replicas by what they were built from.",
          unit: "short",
          queries: [[`count by (build_ref) (${metric("info")}{${job}})`, "{{build_ref}}"]],
        },
      ],
    },
  ],
};

/** The dashboards by their files' names. */
export const dashboards: ReadonlyMap<string, Dashboard> = new Map([
  ["requests.json", requests],
  ["pool.json", pool],
  ["picker.json", picker],
]);
