// CPU time of a process that does nothing but scrape: servers run in a child process.
// From the repository's root: node_modules/.bin/node --conditions=@pointsman/source packages/metrics-scraper/bench/scrape.bench.ts
// SECONDS (default 5) sets how long each case is measured.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  Endpoint,
  noMetrics,
  type PollingExtractor,
  type PollingSource,
  silentLogger,
  systemClock,
} from "@pointsman/core";
import { MetricsQuery } from "@pointsman/core/prometheus";
import { Client } from "undici";
import { createScraper } from "../src/index.ts";

const intervalMs = 50;
const warmUpMs = 2000;
const measureMs = Number(process.env["SECONDS"] ?? 5) * 1000;

const query = new MetricsQuery([
  "vllm:num_requests_waiting",
  "vllm:num_requests_running",
  "vllm:kv_cache_usage_perc",
  "vllm:lora_requests_info",
  "vllm:cache_config_info",
]);
const anyQuery = new MetricsQuery([]);
let pages = 0;

const extractor: PollingExtractor = {
  payload: "prometheus-text",
  extract(body) {
    pages++;
    return query.scan(body).garbage;
  },
};

async function measure(name: string, run: (ports: readonly number[]) => () => unknown, servers: number): Promise<void> {
  const child = fork(fileURLToPath(new URL("page-servers.ts", import.meta.url)), [String(servers)]);
  const [{ ports, pageBytes }] = (await once(child, "message")) as [{ ports: number[]; pageBytes: number }];
  const stop = run(ports);
  await new Promise((resolve) => setTimeout(resolve, warmUpMs));
  pages = 0;
  const before = process.cpuUsage();
  const startedMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, measureMs));
  const elapsedMs = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1000;
  const columns = [
    name.padEnd(24),
    `${servers} endpoints`.padStart(14),
    `${Math.round(pageBytes / 1024)} KiB`.padStart(8),
    `${((pages / elapsedMs) * 1000).toFixed(0)} pages/s`.padStart(13),
    `${(cpuMs / elapsedMs).toFixed(3)} cores`.padStart(12),
    pages === 0 ? "" : `${((cpuMs * 1000) / pages).toFixed(0)} us/page`.padStart(13),
  ];
  console.log(columns.join(" "));
  await stop();
  child.disconnect();
  await once(child, "exit");
}

function scraper(askForGzip: boolean): (ports: readonly number[]) => () => unknown {
  return (ports) => {
    const endpoints = ports.map(
      (port, slot) =>
        new Endpoint(slot, {
          id: `default/server-${slot}`,
          namespace: "default",
          name: `server-${slot}`,
          address: "127.0.0.1",
          port,
          metricsHost: `127.0.0.1:${port}`,
          labels: {},
          rankIndex: 0,
        }),
    );
    const source: PollingSource = {
      payload: "prometheus-text",
      maxBodyBytes: 4 * 1024 * 1024,
      pollTarget: ({ metadata }) => ({
        scheme: "http",
        host: metadata.address,
        port: metadata.port,
        path: "/metrics",
      }),
      checkPayload: (body) => anyQuery.scan(body.subarray(0, 2048)).garbage,
    };
    const created = createScraper({
      endpoints: { snapshot: () => endpoints, subscribe: () => () => {} },
      bindings: [
        {
          source: { name: "metrics", type: "metrics", instance: source },
          extractors: [{ name: "core", type: "core", instance: extractor }],
        },
      ],
      intervalMs,
      clock: systemClock,
      random: Math.random,
      logger: silentLogger,
      metrics: noMetrics,
      askForGzip,
    });
    created.start();
    return () => created.stop();
  };
}

/** The same pages at the same rate with one timer per endpoint, to compare ways of using the HTTP client. */
function plain(fetchPage: (client: Client) => void): (ports: readonly number[]) => () => unknown {
  return (ports) => {
    const clients = ports.map((port) => new Client(`http://127.0.0.1:${port}`));
    const timers = clients.map((client) => setInterval(() => fetchPage(client), intervalMs));
    return async () => {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(clients.map((client) => client.close()));
    };
  };
}

const read = (body: Uint8Array): void => {
  pages++;
  query.scan(body);
};

const viaDispatch = plain((client) => {
  const chunks: Buffer[] = [];
  client.dispatch(
    { path: "/metrics", method: "GET" },
    {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData: (_controller, chunk) => void chunks.push(chunk),
      onResponseEnd: () => read(Buffer.concat(chunks)),
      onResponseError: (_controller, error) => console.error(error),
    },
  );
});

const viaRequest = plain((client) => {
  client.request({ path: "/metrics", method: "GET" }).then(async ({ body }) => read(await body.bytes()), console.error);
});

await measure("scraper", scraper(false), 10);
await measure("scraper", scraper(false), 100);
await measure("scraper, gzip", scraper(true), 100);
await measure("bare undici dispatch", viaDispatch, 100);
await measure("bare undici request", viaRequest, 100);
