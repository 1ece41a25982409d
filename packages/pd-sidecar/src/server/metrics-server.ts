import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { errorText, type Logger } from "@pointsman/core";

export interface MetricsServerOptions {
  readonly host: string | undefined;
  readonly port: number;
  readonly contentType: string;
  page(): Promise<string>;
  /** Missing values: undefined when requests can be served, else why not. */
  notReady(): Promise<string | undefined>;
  readonly logger: Logger;
}

/** A port for operators: `/metrics`, `/healthz` and `/readyz`. Resolves when it listens. */
export async function startMetricsServer(
  options: MetricsServerOptions,
): Promise<{ readonly port: number; stop(): void }> {
  const server: Server = createServer((req, res) => {
    const path = (req.url ?? "/").split("?", 1)[0];
    const text = (status: number, body: string, contentType = "text/plain; charset=utf-8"): void => {
      res.writeHead(status, { "content-type": contentType }).end(body);
    };
    const answer = async (): Promise<void> => {
      if (req.method !== "GET" && req.method !== "HEAD") text(405, "only GET is served here\n");
      else if (path === "/metrics") text(200, await options.page(), options.contentType);
      else if (path === "/healthz") text(200, "ok\n");
      else if (path === "/readyz") {
        const problem = await options.notReady();
        text(problem === undefined ? 200 : 503, problem === undefined ? "ok\n" : `${problem}\n`);
      } else text(404, "here are /metrics, /healthz and /readyz\n");
    };
    answer().catch((thrown: unknown) => {
      options.logger.error({ problem: errorText(thrown) }, "the metrics port could not answer");
      if (!res.headersSent) text(500, "the page could not be made\n");
      else res.destroy();
    });
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    if (options.host === undefined) server.listen(options.port, resolve);
    else server.listen(options.port, options.host, resolve);
  });
  server.on("error", () => {});
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
