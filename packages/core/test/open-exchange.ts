import { Headers } from "../src/headers.ts";
import type { PluginInstance } from "../src/plugin/plugin.ts";
import type { ResponseBodyEvent } from "../src/plugin/request-plugins.ts";
import type { NamedPlugin } from "../src/plugin/roles.ts";
import type { MetadataObject } from "../src/request.ts";
import { Exchange, type Router } from "../src/request-control/exchange.ts";
import { RecordingLogger } from "./recording-logger.ts";
import { RecordingMetrics } from "./recording-metrics.ts";
import { RecordingSink } from "./recording-sink.ts";
import { buildEndpoint, buildRouter, type FakeClock, named, type RouterOptions } from "./testkit.ts";

type HeaderFields = Readonly<Record<string, string>>;

/** An exchange with a sink, metrics and a log that keep everything, and short ways to say what the proxy sends. */
export class OpenExchange {
  readonly exchange: Exchange;
  readonly sink: RecordingSink = new RecordingSink();
  readonly metrics: RecordingMetrics = new RecordingMetrics();
  readonly logger: RecordingLogger = new RecordingLogger();
  readonly clock: FakeClock;

  /** Options for the router beside those of {@link buildRouter} go into `router`. Without endpoints there are two. */
  constructor(options: RouterOptions = {}, router: Partial<Router> = {}) {
    const built = buildRouter({
      endpoints: [buildEndpoint(0), buildEndpoint(1)],
      metrics: this.metrics,
      logger: this.logger,
      ...options,
    });
    this.clock = built.clock;
    this.exchange = new Exchange({ ...built.router, ...router }, this.sink);
  }

  requestHeaders(fields: HeaderFields = {}, endOfStream = false, metadata: MetadataObject = {}): this {
    this.exchange.requestHeaders(Headers.from(Object.entries(fields)), endOfStream, metadata);
    return this;
  }

  requestBody(body: string | object, endOfStream = true, metadata: MetadataObject = {}): this {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    this.exchange.requestBody(Buffer.from(text), endOfStream, metadata);
    return this;
  }

  /** Headers and a whole body. */
  request(body: string | object = { model: "m" }, fields: HeaderFields = {}): this {
    return this.requestHeaders(fields).requestBody(body);
  }

  responseHeaders(
    fields: HeaderFields = { ":status": "200" },
    endOfStream = false,
    metadata: MetadataObject = {},
  ): this {
    this.exchange.responseHeaders(Headers.from(Object.entries(fields)), endOfStream, metadata);
    return this;
  }

  responseBody(text: string, endOfStream = false): this {
    this.exchange.responseBody(Buffer.from(text), endOfStream);
    return this;
  }

  /** Requests that were routed and not finished, as the gauge tells. */
  get running(): number {
    return this.metrics.value("llm_d_epp_request_running");
  }

  /** Errors counted so far, by code. */
  get errors(): Readonly<Record<string, number>> {
    const series = this.metrics.series("llm_d_epp_request_error_total");
    return Object.fromEntries(series.map(({ labels, value }) => [labels["error_code"], value]));
  }
}

/** A response body plugin that keeps its events, and on the last one says what `atEnd` says. */
export function bodyRecorder(
  events: ResponseBodyEvent[],
  atEnd: (event: ResponseBodyEvent) => void = () => {},
): NamedPlugin<PluginInstance> {
  return named(
    {
      responseBody: (_request, _result, event) => {
        events.push(event);
        if (event.endOfStream) atEnd(event);
      },
    },
    "body-recorder",
  );
}
