/**
 * Serves one of the proxies to compare: `node bench/serve.ts <kind> <port> <model server port>...`
 *
 * `pointsman` is this package with a router of core's parts; `undici` and `http` forward and do nothing else.
 */
import { createServer, Agent as HttpAgent, request, type Server } from "node:http";
import { noMetrics, silentLogger } from "@pointsman/core";
import { Agent } from "undici";
import { createHttpProxy } from "../src/index.ts";
import { buildTestRouter } from "../test/test-router.ts";
import { leanParser } from "./lean-parser.ts";

const [kind, portText, ...backendTexts] = process.argv.slice(2);
const backends = backendTexts.map(Number);
let turn = 0;
const nextBackend = (): number => backends[turn++ % backends.length]!;

async function start(port: number): Promise<number> {
  if (kind === "pointsman") {
    const { router } = buildTestRouter({ ports: backends, parser: leanParser });
    const proxy = createHttpProxy({
      router: () => router,
      host: "127.0.0.1",
      port,
      logger: silentLogger,
      metrics: noMetrics,
    });
    return (await proxy.start()).port;
  }
  const server = kind === "undici" ? undiciProxy() : kind === "http" ? httpProxy() : undefined;
  if (server === undefined) throw new Error(`unknown kind ${kind}; known: pointsman, undici, http`);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function undiciProxy(): Server {
  const agent = new Agent({ pipelining: 1, bodyTimeout: 0, headersTimeout: 600_000 });
  return createServer((req, res) => {
    agent.dispatch(
      {
        origin: `http://127.0.0.1:${nextBackend()}`,
        path: req.url!,
        method: req.method as "GET",
        headers: Object.fromEntries(Object.entries(req.headers).filter(([name]) => name !== "connection")),
        body: req,
      },
      {
        onRequestStart() {},
        onResponseStart(_controller, status, headers) {
          const { connection, "keep-alive": _keepAlive, "transfer-encoding": _coding, ...rest } = headers;
          res.writeHead(status, rest);
        },
        onResponseData(controller, chunk) {
          if (res.write(chunk)) return;
          controller.pause();
          res.once("drain", () => controller.resume());
        },
        onResponseEnd() {
          res.end();
        },
        onResponseError() {
          res.destroy();
        },
      },
    );
  });
}

function httpProxy(): Server {
  const agent = new HttpAgent({ keepAlive: true, maxFreeSockets: 1000 });
  return createServer((req, res) => {
    const { connection: _connection, ...headers } = req.headers;
    const upstream = request(
      { agent, host: "127.0.0.1", port: nextBackend(), method: req.method, path: req.url, headers },
      (answer) => {
        const { connection: _dropped, "keep-alive": _keepAlive, ...rest } = answer.headers;
        res.writeHead(answer.statusCode!, rest);
        answer.pipe(res);
      },
    );
    upstream.on("error", () => res.destroy());
    req.pipe(upstream);
  });
}

const port = await start(Number(portText));
if (process.send === undefined) console.log(JSON.stringify({ pid: process.pid, port }));
else {
  process.send({ port });
  process.on("message", () => process.send?.(process.cpuUsage()));
  process.on("disconnect", () => process.exit(0));
}
