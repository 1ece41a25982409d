import {
  type Endpoint,
  type EndpointEvent,
  type EndpointWriter,
  IN_FLIGHT_LOAD,
  type InFlightLoad,
  type MetadataValue,
  type PluginHost,
} from "@pointsman/core";
import { LoadMetrics, type LoadSeries } from "./load-metrics.ts";

const maxDumpedEndpoints = 100;

/** The counter of one endpoint object. */
interface EndpointLoad {
  readonly endpoint: Endpoint;
  readonly series: Map<string, LoadSeries>;
  requests: number;
  tokens: number;
  /** Cleared when the endpoint goes: what is released from then on reaches nobody. */
  live: boolean;
}

/** What one request holds on one endpoint. */
export interface Reservation {
  /** The profile that chose the endpoint. */
  readonly profile: string;
  readonly load: EndpointLoad;
  readonly series: LoadSeries | undefined;
  requests: number;
  tokens: number;
}

/** Counts what is in flight on each endpoint, writes it to the endpoint, and keeps the gauges. */
export class EndpointLoads {
  readonly #host: PluginHost;
  readonly #writer: EndpointWriter<InFlightLoad>;
  readonly #metrics: LoadMetrics;
  /** By endpoint id. A counter belongs to an endpoint object: one that comes back under its id gets a new counter. */
  readonly #live: Map<string, EndpointLoad> = new Map();

  constructor(host: PluginHost) {
    this.#host = host;
    this.#writer = host.endpointWriter(IN_FLIGHT_LOAD.from(host.name));
    this.#metrics = new LoadMetrics(host);
  }

  endpointChanged({ type, endpoint }: EndpointEvent): void {
    const known = this.#live.get(endpoint.id);
    if (type === "addOrUpdate") {
      if (known?.endpoint !== endpoint) this.#start(endpoint);
    } else if (known?.endpoint === endpoint) this.#end(known);
  }

  /** Counts a request and its tokens on an endpoint until they are released. */
  reserve(profile: string, endpoint: Endpoint, tokens: number, fairnessId: string, priority: number): Reservation {
    const load = this.#loadOf(endpoint);
    const series = load.live ? this.#metrics.seriesOf(load.series, endpoint.metadata, fairnessId, priority) : undefined;
    const reservation: Reservation = { profile, load, series, requests: 0, tokens: 0 };
    this.#change(reservation, 1, tokens);
    return reservation;
  }

  /** Releases the tokens of a reservation. A second time changes nothing. */
  releaseTokens(reservation: Reservation): void {
    if (reservation.tokens > 0) this.#change(reservation, 0, -reservation.tokens);
  }

  /** Releases all of a reservation. A second time changes nothing. */
  release(reservation: Reservation): void {
    const { requests, tokens } = reservation;
    if (requests > 0 || tokens > 0) this.#change(reservation, -requests, -tokens);
  }

  /** The endpoints with most in flight. */
  dump(): MetadataValue {
    const endpoints = Array.from(this.#live.values(), ({ endpoint, requests, tokens }) => ({
      endpoint: endpoint.id,
      requests,
      tokens,
    }));
    endpoints.sort((a, b) => b.requests + b.tokens - (a.requests + a.tokens));
    return {
      endpoints: endpoints.slice(0, maxDumpedEndpoints),
      totalEndpoints: endpoints.length,
      maxEndpoints: maxDumpedEndpoints,
    };
  }

  #loadOf(endpoint: Endpoint): EndpointLoad {
    const known = this.#live.get(endpoint.id);
    if (known?.endpoint === endpoint) return known;
    // A decision may come after its endpoint has gone: it is counted where nobody looks.
    return this.#host.endpoints().includes(endpoint) ? this.#start(endpoint) : newLoad(endpoint, false);
  }

  #start(endpoint: Endpoint): EndpointLoad {
    const before = this.#live.get(endpoint.id);
    if (before !== undefined) this.#end(before);
    const load = newLoad(endpoint, true);
    this.#live.set(endpoint.id, load);
    this.#write(load);
    return load;
  }

  #end(load: EndpointLoad): void {
    load.live = false;
    this.#live.delete(load.endpoint.id);
    this.#metrics.removeAll(load.series);
    this.#writer.set(load.endpoint, undefined, this.#host.clock.now());
  }

  #change(reservation: Reservation, requests: number, tokens: number): void {
    const { load, series } = reservation;
    reservation.requests += requests;
    reservation.tokens += tokens;
    load.requests += requests;
    load.tokens += tokens;
    if (series !== undefined) this.#metrics.add(series, requests, tokens);
    if (load.live) this.#write(load);
  }

  #write({ endpoint, requests, tokens }: EndpointLoad): void {
    this.#writer.set(endpoint, { tokens, requests }, this.#host.clock.now());
  }
}

function newLoad(endpoint: Endpoint, live: boolean): EndpointLoad {
  return { endpoint, series: new Map(), requests: 0, tokens: 0, live };
}
