import type { Counter, Gauge, MetricsRegistry } from "@pointsman/core";

type StatusClass = "1xx" | "2xx" | "3xx" | "4xx" | "5xx";

/** What the proxy counts, with children bound at start. */
export interface ProxyMetrics {
  readonly openRequests: Gauge;
  readonly pausedUpstreams: Gauge;
  readonly clientDisconnects: Counter;
  /** Answers cut because the model server's side failed after they had begun. */
  readonly cutAnswers: Counter;
  readonly connected: Counter;
  readonly connectFailed: Counter;
  readonly connectTimedOut: Counter;
  readonly retriedNextEndpoint: Counter;
  readonly retriedFreshConnection: Counter;
  /** By the first digit of the status, 1 to 5. */
  readonly responses: readonly Counter[];
}

export function createProxyMetrics(metrics: MetricsRegistry): ProxyMetrics {
  const connects = metrics.counter({
    name: "llm_d_epp_http_proxy_upstream_connects_total",
    help: "Attempts of the built-in HTTP proxy to connect to a model server, by outcome.",
    labelNames: ["outcome"],
  });
  const retries = metrics.counter({
    name: "llm_d_epp_http_proxy_retries_total",
    help: "Requests the built-in HTTP proxy sent again before any byte of an answer, by reason.",
    labelNames: ["reason"],
  });
  const responses = metrics.counter({
    name: "llm_d_epp_http_proxy_responses_total",
    help: "Answers the built-in HTTP proxy began to send, by class of status.",
    labelNames: ["status_class"],
  });
  const classes: readonly StatusClass[] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
  return {
    openRequests: metrics
      .gauge({ name: "llm_d_epp_http_proxy_open_requests", help: "Requests open in the built-in HTTP proxy." })
      .labels(),
    pausedUpstreams: metrics
      .gauge({
        name: "llm_d_epp_http_proxy_paused_upstreams",
        help: "Answers that are not read on because the client is slow.",
      })
      .labels(),
    clientDisconnects: metrics
      .counter({
        name: "llm_d_epp_http_proxy_client_disconnects_total",
        help: "Requests whose client left before the whole answer was sent.",
      })
      .labels(),
    cutAnswers: metrics
      .counter({
        name: "llm_d_epp_http_proxy_cut_answers_total",
        help: "Answers cut off because the model server failed after they had begun.",
      })
      .labels(),
    connected: connects.labels("connected"),
    connectFailed: connects.labels("failed"),
    connectTimedOut: connects.labels("timeout"),
    retriedNextEndpoint: retries.labels("next-endpoint"),
    retriedFreshConnection: retries.labels("fresh-connection"),
    responses: classes.map((name) => responses.labels(name)),
  };
}

/** Counts an answer that begins. */
export function countAnswer(metrics: ProxyMetrics, status: number): void {
  metrics.responses[Math.floor(status / 100) - 1]?.inc();
}
