import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import type { SecureContextOptions } from "node:tls";
import { Code, ConnectError } from "@connectrpc/connect";
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
import type { Certificates } from "../process/certificate-files.ts";
import { decisionMessage } from "./decision-message.ts";
import { pluginStates, pluginStatesPage, timeText } from "./plugin-states.ts";
import { ProfilePages, profilePrefix } from "./profile-pages.ts";

/** Why a request is not served. */
export interface AdminRefusal {
  readonly status: number;
  readonly body: string;
}

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
  /** Serve profiles of the process. */
  readonly profiles: boolean;
  /** Speak TLS; clients need a certificate where their CA is given. Plain HTTP when absent. */
  readonly tls?: Certificates;
  /** Asked before each request, whatever its path; `undefined` lets it pass. Everybody may do everything when absent. */
  authorize?(request: IncomingMessage): Promise<AdminRefusal | undefined>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface AdminServer {
  start(): Promise<{ readonly port: number }>;
  stop(): Promise<void>;
  /** Uses other certificates for connections that come from here on. Throws when they are not valid, and keeps the old ones. */
  reloadTls(certificates: Certificates): void;
}

/** The adapter's request and response, which cover HTTP/1.1 and HTTP/2. */
type HttpHandler = NonNullable<Parameters<typeof connectNodeAdapter>[0]["fallback"]>;
type HttpRequest = Parameters<HttpHandler>[0];
type HttpResponse = Parameters<HttpHandler>[1];

const statePath = "/debug/plugins/state";
/** Most decisions in one answer. */
const maxDecisions = 1000;
/** Requests of the admin API hold a name or a number. */
const maxRequestBytes = 64 * 1024;

/** Serves metrics, plugin state, profiles and the admin API on one port, over HTTP/1.1 with or without TLS. */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const { decisions, endpoints, clock, authorize } = options;
  const profiles = options.profiles ? new ProfilePages() : undefined;
  const connect = connectNodeAdapter({
    readMaxBytes: maxRequestBytes,
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
        getPluginStates({ name }) {
          const all = options.plugins();
          const plugins = name === "" ? all : all.filter((plugin) => plugin.name === name);
          if (name !== "" && plugins.length === 0) {
            const names = all.map((plugin) => plugin.name).join(", ");
            throw new ConnectError(`no plugin is named ${JSON.stringify(name)}; there are ${names}`, Code.NotFound);
          }
          return {
            at: timeText(clock),
            plugins: pluginStates(plugins).map(({ told, ...plugin }) => ({ ...plugin, ...told })),
          };
        },
      });
    },
    fallback: (request, response) => {
      serveHttp(request, response, options, profiles).catch((thrown: unknown) => failed(request, response, thrown));
    },
  });
  function failed(request: HttpRequest, response: HttpResponse, thrown: unknown): void {
    options.logger.error({ path: request.url, problem: errorText(thrown) }, "admin request failed");
    if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
    response.end("internal error; see the log\n");
  }
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    if (authorize === undefined) {
      void connect(request, response);
      return;
    }
    authorize(request).then(
      (refusal) => {
        if (refusal === undefined) {
          void connect(request, response);
          return;
        }
        response.writeHead(refusal.status, { "content-type": "text/plain; charset=utf-8" });
        response.end(`${refusal.body}\n`);
      },
      (thrown: unknown) => failed(request, response, thrown),
    );
  };
  let server: Server | TlsServer | undefined;
  return {
    start: () =>
      new Promise((resolve, reject) => {
        const limits = { requestTimeout: 30_000, maxHeaderSize: 16 * 1024 };
        server =
          options.tls === undefined
            ? createServer(limits, handle)
            : createTlsServer({ ...limits, handshakeTimeout: 10_000, ...tlsContext(options.tls) }, handle);
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
    reloadTls(certificates) {
      if (server === undefined || !("setSecureContext" in server)) throw new Error("the admin port speaks plain HTTP");
      server.setSecureContext(tlsContext(certificates));
    },
  };
}

function tlsContext({ cert, key, clientCa }: Certificates): SecureContextOptions & { requestCert?: boolean } {
  const own = { cert, key, minVersion: "TLSv1.2" } as const;
  return clientCa === undefined ? own : { ...own, ca: clientCa, requestCert: true };
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
  request: HttpRequest,
  response: HttpResponse,
  options: AdminServerOptions,
  profiles: ProfilePages | undefined,
): Promise<void> {
  const [path = "/", query = ""] = (request.url ?? "/").split("?", 2);
  const send = (status: number, type: string, body: string, headers: Record<string, string> = {}): void => {
    response.writeHead(status, { "content-type": type, ...headers });
    if (request.method === "HEAD") response.end();
    else response.end(body);
  };
  const profile = path.startsWith(profilePrefix) ? profiles : undefined;
  if (path !== "/metrics" && path !== statePath && profile === undefined) {
    const known = `/metrics, ${statePath}${profiles === undefined ? "" : `, ${profilePrefix}`} and the admin API`;
    send(404, "text/plain", `no page ${path}; there are ${known}\n`);
    return;
  }
  const methods = path === "/metrics" ? ["GET", "HEAD"] : ["GET"];
  if (!methods.includes(request.method ?? "")) {
    send(405, "text/plain", "only GET is allowed\n", { allow: methods.join(", ") });
    return;
  }
  if (path === "/metrics") await sendMetrics(request, response, options.metrics);
  else if (path === statePath) send(200, "application/json", pluginStatesPage(options.plugins(), options.clock));
  else if (profile !== undefined) {
    const left = new AbortController();
    response.on("close", () => left.abort());
    const { status, contentType, body, fileName } = await profile.answer(
      path.slice(profilePrefix.length),
      new URLSearchParams(query),
      left.signal,
    );
    const disposition = fileName === undefined ? undefined : `attachment; filename="${fileName}"`;
    send(status, contentType, body, disposition === undefined ? {} : { "content-disposition": disposition });
  }
}

/** Sends the page piece by piece: with many models or tenants it is large, and whoever reads it may be slow. */
async function sendMetrics(request: HttpRequest, response: HttpResponse, metrics: PrometheusMetrics): Promise<void> {
  const pieces = metrics.pieces();
  response.writeHead(200, { "content-type": metrics.contentType });
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  try {
    await pipeline(pieces, response);
  } catch (thrown: unknown) {
    if (!response.destroyed) throw thrown;
    // The reader left.
  }
}
