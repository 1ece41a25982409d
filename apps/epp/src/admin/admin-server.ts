import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type AttributeKey,
  type Clock,
  type DecisionLog,
  describeDecision,
  type Endpoint,
  errorText,
  type Logger,
  type NamedPlugin,
} from "@pointsman/core";
import { AdminService } from "@pointsman/proto/admin";
import type { PrometheusMetrics } from "@pointsman/telemetry";
import { decisionMessage } from "./decision-message.ts";

export interface AdminServerOptions {
  readonly host: string;
  readonly port: number;
  readonly metrics: PrometheusMetrics;
  readonly decisions: DecisionLog;
  readonly endpoints: () => readonly Endpoint[];
  readonly pool: { readonly name: string; readonly namespace: string };
  readonly signals: () => readonly AttributeKey<unknown>[];
  readonly plugins: () => readonly NamedPlugin[];
  /** The effective configuration as YAML. */
  readonly configYaml: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface AdminServer {
  start(): Promise<{ readonly port: number }>;
  stop(): Promise<void>;
}

/** The adapter's request and response, which cover HTTP/1.1 and HTTP/2. */
type HttpHandler = NonNullable<Parameters<typeof connectNodeAdapter>[0]["fallback"]>;

/** Most decisions in one answer. */
const maxDecisions = 1000;

/** Serves metrics, plugin state and the admin API on one port, in plain HTTP. */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const { decisions, endpoints, clock } = options;
  const connect = connectNodeAdapter({
    routes(router) {
      router.service(AdminService, {
        getPool() {
          const nowMs = clock.now();
          return {
            name: options.pool.name,
            namespace: options.pool.namespace,
            endpoints: endpoints().map((endpoint) => ({
              id: endpoint.id,
              hostPort: endpoint.hostPort,
              reachability: endpoint.reachability,
              labels: { ...endpoint.metadata.labels },
              signals: options.signals().map((key) => signalOf(endpoint, key, nowMs)),
            })),
          };
        },
        listDecisions(request) {
          const limit = Math.min(request.limit === 0 ? 20 : request.limit, maxDecisions);
          const accept = request.requestId === "" ? undefined : matcher(request.requestId);
          return {
            decisions: decisions.recent(limit, accept).map((trace) => decisionMessage(describeDecision(trace))),
          };
        },
        getConfig() {
          const yaml = options.configYaml();
          return { yaml, hash: createHash("sha256").update(yaml).digest("hex") };
        },
      });
    },
    fallback: (request, response) => {
      serveHttp(request, response, options).catch((thrown: unknown) => {
        options.logger.error({ path: request.url, problem: errorText(thrown) }, "admin request failed");
        if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
        response.end("internal error; see the log\n");
      });
    },
  });
  let server: Server | undefined;
  return {
    start: () =>
      new Promise((resolve, reject) => {
        server = createServer({ requestTimeout: 30_000, maxHeaderSize: 16 * 1024 }, (request, response) => {
          void connect(request, response);
        });
        server.once("error", reject);
        server.listen(options.port, options.host, () => {
          // Listening on a host and port, so the address is no pipe name.
          resolve({ port: (server!.address() as AddressInfo).port });
        });
      }),
    stop: () =>
      new Promise((resolve) => {
        if (server === undefined) {
          resolve();
          return;
        }
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function matcher(requestId: string): (trace: { readonly requestId: string }) => boolean {
  return (trace) => trace.requestId === requestId;
}

function signalOf(endpoint: Endpoint, key: AttributeKey<unknown>, nowMs: number) {
  const value = endpoint.values[key.index];
  const at = endpoint.writtenAtMs[key.index];
  return {
    name: key.dataType,
    ...(value === undefined ? {} : { value: value instanceof Set ? [...value].join(",") : String(value) }),
    ...(at === undefined || at === Number.NEGATIVE_INFINITY ? {} : { ageMs: nowMs - at }),
  };
}

async function serveHttp(
  request: Parameters<HttpHandler>[0],
  response: Parameters<HttpHandler>[1],
  options: AdminServerOptions,
): Promise<void> {
  const path = (request.url ?? "/").split("?", 1)[0]!;
  const send = (status: number, type: string, body: string, headers: Record<string, string> = {}): void => {
    response.writeHead(status, { "content-type": type, ...headers });
    if (request.method === "HEAD") response.end();
    else response.end(body);
  };
  if (path !== "/metrics" && path !== "/debug/plugins/state") {
    send(404, "text/plain", `no page ${path}; there are /metrics, /debug/plugins/state and the admin API\n`);
    return;
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    send(405, "text/plain", "only GET is allowed\n", { allow: "GET, HEAD" });
    return;
  }
  if (path === "/metrics") send(200, options.metrics.contentType, await options.metrics.page());
  else send(200, "application/json", `${JSON.stringify(pluginStates(options), null, 2)}\n`);
}

function pluginStates({ plugins, clock }: AdminServerOptions): unknown {
  const states = plugins().map(({ name, type, instance }) => {
    if (instance.dumpState === undefined)
      return [name, { name, type, message: "plugin does not support state collection" }];
    try {
      return [name, { name, type, state: instance.dumpState() }];
    } catch (thrown: unknown) {
      return [name, { name, type, message: `failed to dump plugin state: ${errorText(thrown)}` }];
    }
  });
  return { timestamp: new Date(clock.wallTime()).toISOString(), plugins: Object.fromEntries(states) };
}
