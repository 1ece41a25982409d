import {
  type AdmissionController,
  admitAll,
  DecisionLog,
  type Endpoint,
  type ErrorFormat,
  type Logger,
  type NamedPlugin,
  noMetrics,
  type Parser,
  ParserSelection,
  type Picker,
  PluginCalls,
  type PreRequest,
  type ProfileHandler,
  RequestControl,
  RequestError,
  RequestMetrics,
  type ResponseBodyProcessor,
  type ResponseHeaderProcessor,
  type Router,
  Scheduler,
  silentLogger,
  systemClock,
  type TerminationCause,
} from "@pointsman/core";
import { buildEndpoint } from "@pointsman/testkit";
import { systemTimers } from "../src/system-timers.ts";
import { fakeParser } from "./fake-parser.ts";

export interface TestRouterOptions {
  /** Ports of model servers at 127.0.0.1. */
  readonly ports: readonly number[];
  /** How many targets the picker names, in the order of `ports`, turning by one for each request; 1 by default. */
  readonly targets?: number;
  /** The picker starts at the first port for every request. */
  readonly fixed?: boolean;
  readonly maxRequestBodyBytes?: number;
  readonly admission?: AdmissionController;
  readonly preRequest?: PreRequest["preRequest"];
  readonly responseHeaders?: ResponseHeaderProcessor["responseHeaders"];
  /** `fakeParser` by default. */
  readonly parser?: Parser;
  readonly logger?: Logger;
  readonly errorFormat?: ErrorFormat;
}

export interface TestRouter {
  readonly router: Router;
  readonly endpoints: readonly Endpoint[];
  /** Why answers ended, in order. */
  readonly ends: (TerminationCause | undefined)[];
  /** Endpoint that served, as the plugins were told, in order. */
  readonly servedBy: (string | undefined)[];
}

function named<I>(name: string, instance: I): NamedPlugin<I> {
  return { name, type: name, instance };
}

/** A router of core's own parts with the smallest plugins that make a decision. */
export function buildTestRouter(options: TestRouterOptions): TestRouter {
  const logger = options.logger ?? silentLogger;
  const calls = new PluginCalls(noMetrics, logger);
  const endpoints = options.ports.map((port, i) => buildEndpoint(i, { port }));
  const ends: (TerminationCause | undefined)[] = [];
  const servedBy: (string | undefined)[] = [];
  let turn = 0;
  const picker: Picker = {
    pick(_request, candidates) {
      const first = options.fixed === true ? 0 : turn++;
      return Array.from({ length: options.targets ?? 1 }, (_, i) => candidates[(first + i) % candidates.length]!);
    },
  };
  const handler: ProfileHandler = {
    pickProfiles: (_request, profiles, results) => (results.size === 0 ? profiles : []),
    processResults(_request, results) {
      const result = results.get("default");
      if (result === undefined || result instanceof RequestError) return new RequestError("Internal", "nothing picked");
      return { primaryProfile: "default", profiles: new Map([["default", result]]) };
    },
  };
  const bodies: ResponseBodyProcessor = {
    responseBody(_request, _result, event) {
      if (event.endOfStream) ends.push(event.terminationCause);
    },
  };
  const heads: ResponseHeaderProcessor = {
    responseHeaders(request, result, event) {
      servedBy.push(event.servedBy);
      options.responseHeaders?.(request, result, event);
    },
  };
  const control = new RequestControl({
    scheduler: new Scheduler({
      profiles: [{ name: "default", filters: [], scorers: [], picker: named("turn-picker", picker) }],
      profileHandler: named("one-profile", handler),
      calls,
      clock: systemClock,
      metrics: noMetrics,
    }),
    endpoints: () => endpoints,
    requestHeaderProcessors: [],
    screeners: [],
    producers: [],
    admitters: [],
    preRequests: options.preRequest === undefined ? [] : [named("pre-request", { preRequest: options.preRequest })],
    admission: options.admission ?? admitAll,
    ignoreSubsetHint: true,
    recordedSignals: [],
    decisions: new DecisionLog(0, systemClock),
    calls,
    clock: systemClock,
    timers: systemTimers,
  });
  let ids = 0;
  let draws = 0;
  const router: Router = {
    control,
    parsers: new ParserSelection([named("fake-parser", options.parser ?? fakeParser)]),
    responseHeaderProcessors: [named("heads", heads)],
    responseBodyProcessors: [named("bodies", bodies)],
    metrics: new RequestMetrics(noMetrics),
    calls,
    clock: systemClock,
    logger,
    random: () => (draws++ % endpoints.length) / endpoints.length,
    newRequestId: () => `generated-${++ids}`,
    maxRequestBodyBytes: options.maxRequestBodyBytes ?? 64 * 1024 * 1024,
    emitScores: false,
    ...(options.errorFormat === undefined ? {} : { errorFormat: options.errorFormat }),
  };
  return { router, endpoints, ends, servedBy };
}
