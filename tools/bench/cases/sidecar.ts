import { Agent, request } from "node:http";
import { join } from "node:path";
import { freePort } from "../../e2e/running.ts";
import { root } from "../../workspace-packages.ts";
import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { figure } from "../figure.ts";
import { cpuMs } from "../process-usage.ts";

interface Workload {
  readonly name: string;
  readonly detail: string;
  readonly stream: boolean;
  /** Through a prefill server; the references have none and pass the request on. */
  readonly prefill: boolean;
  readonly concurrency: number;
  /** Requests of one round by each proxy. */
  readonly requests: { readonly full: number; readonly quick: number };
}

const workloads: readonly Workload[] = [
  {
    name: "json",
    detail: "4 KB chats passed through, JSON answers",
    stream: false,
    prefill: false,
    concurrency: 16,
    requests: { full: 6000, quick: 1500 },
  },
  {
    name: "sse",
    detail: "4 KB chats passed through, answers of 1000 events, one a millisecond",
    stream: true,
    prefill: false,
    concurrency: 16,
    requests: { full: 64, quick: 16 },
  },
  {
    name: "pd-json",
    detail: "4 KB chats, prefill then decode (nixlv2), JSON answers; the references make one call",
    stream: false,
    prefill: true,
    concurrency: 16,
    requests: { full: 4000, quick: 1000 },
  },
  {
    name: "pd-sse",
    detail: "4 KB chats, prefill then decode (nixlv2), answers of 1000 events; the references make one call",
    stream: true,
    prefill: true,
    concurrency: 16,
    requests: { full: 64, quick: 16 },
  },
];
const events = 1000;
const undiciName = "undici proxy";
const goName = "Go ReverseProxy";

/** The sidecar beside two plain reverse proxies in front of the same model server. */
export const sidecarCases: readonly BenchCase[] = workloads.map((workload) => ({
  name: `sidecar/${workload.name}`,
  about:
    "the pd-sidecar process, a reverse proxy of a few lines with undici and Go's httputil.ReverseProxy in turn, before one model server; closed loop; CPU of the proxy process by completed requests or events, latency with one request at a time beyond that of the server alone.",
  detail: workload.detail,
  run: (bench) => run(bench, workload),
}));

interface Proxy {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly headers: Readonly<Record<string, string>>;
}

async function run(bench: BenchRun, workload: Workload): Promise<readonly Row[]> {
  const name = `sidecar/${workload.name}`;
  const rounds = bench.quick ? 2 : 4;
  const requests = bench.quick ? workload.requests.quick : workload.requests.full;
  const server = bench.children.worker("../../packages/pd-sidecar/bench/model-server-process.ts", []);
  const { port: serverPort } = await server.next<{ readonly port: number }>();
  const direct: Proxy = { name: "direct", port: serverPort, pid: server.pid, headers: {} };
  const ours = await startSidecar(bench, serverPort, workload.prefill);
  const plain = await startUndici(bench, serverPort);
  const go = await startGo(bench, serverPort);
  const references = typeof go === "string" ? [plain] : [plain, go];
  const all = [ours, ...references];
  const body = chatBody(workload.stream);
  bench.progress(`${name}: warm-up`);
  for (const proxy of all)
    await closedLoop(proxy, body, workload.concurrency, Math.min(requests, workload.stream ? 32 : 3000));
  const cpu = new Map(all.map((proxy) => [proxy, [] as number[]]));
  const added = new Map(all.map((proxy) => [proxy, [] as number[]]));
  /** Answers that were not complete. */
  const cut = new Map(all.map((proxy) => [proxy, 0]));
  for (let round = 1; round <= rounds; round++) {
    bench.progress(`${name}: round ${round} of ${rounds}`);
    for (const proxy of all) {
      const beforeMs = cpuMs(proxy.pid);
      cut.set(proxy, cut.get(proxy)! + (await closedLoop(proxy, body, workload.concurrency, requests)));
      const usedMs = cpuMs(proxy.pid) - beforeMs;
      cpu.get(proxy)!.push((usedMs * 1000) / (workload.stream ? requests * events : requests));
    }
    if (workload.stream) continue;
    const alone = await p50Us(direct, body, bench.quick ? 300 : 1500);
    for (const proxy of all) added.get(proxy)!.push((await p50Us(proxy, body, bench.quick ? 300 : 1500)) - alone);
  }
  const rows: Row[] = references.flatMap((reference) => {
    const versus = (quantity: string, values: Map<Proxy, number[]>): Row =>
      figure({
        case: name,
        quantity,
        pointsman: values.get(ours)!,
        reference: { what: reference.name, values: values.get(reference)! },
        note:
          cut.get(reference) === 0
            ? ""
            : `${cut.get(reference)} of ${rounds * requests} answers of the reference were cut`,
      });
    const cpuRow = versus(workload.stream ? "CPU us/event" : "CPU us/request", cpu);
    return workload.stream ? [cpuRow] : [cpuRow, versus("added latency p50 us", added)];
  });
  if (cut.get(ours) !== 0) {
    const why = `${cut.get(ours)} of ${rounds * requests} answers were cut`;
    rows.push({ case: name, quantity: "answers of the sidecar", kind: "failed", why });
  }
  if (typeof go === "string") rows.push({ case: name, quantity: `against ${goName}`, kind: "not measured", why: go });
  return rows;
}

async function startSidecar(bench: BenchRun, serverPort: number, prefill: boolean): Promise<Proxy> {
  const port = await freePort();
  const running = bench.children.program("pd-sidecar", join(root, "apps/pd-sidecar/bin/pd-sidecar"), [
    ...[`--port=${port}`, `--model-server-port=${serverPort}`, "--bind-address=127.0.0.1", "--secure-proxy=false"],
  ]);
  await running.json((line) => line["msg"] === "ready");
  const headers: Record<string, string> = prefill ? { "x-prefiller-host-port": `127.0.0.1:${serverPort}` } : {};
  return { name: "pd-sidecar", port, pid: running.pid, headers };
}

async function startUndici(bench: BenchRun, serverPort: number): Promise<Proxy> {
  const worker = bench.children.worker("../../packages/pd-sidecar/bench/undici-proxy-process.ts", [serverPort]);
  const { port } = await worker.next<{ readonly port: number }>();
  return { name: undiciName, port, pid: worker.pid, headers: {} };
}

/** A text: why there is none. */
async function startGo(bench: BenchRun, serverPort: number): Promise<Proxy | string> {
  const program = join(bench.directory, "go-proxy");
  const folder = join(root, "packages/pd-sidecar/bench/go-proxy");
  try {
    const built = await bench.children.run("go", ["build", "-C", folder, "-o", program, "."]);
    if (built.code !== 0) return `go build ended with code ${built.code}: ${built.stderr.slice(0, 300)}`;
  } catch {
    return "there is no Go compiler on the PATH";
  }
  const running = bench.children.program(goName, program, [String(serverPort)]);
  const { port } = await running.json((line) => line["port"] !== undefined);
  return { name: goName, port: Number(port), pid: running.pid, headers: {} };
}

function chatBody(stream: boolean): string {
  const content = "a word of a prompt ".repeat(210);
  return JSON.stringify({
    model: "m",
    messages: [{ role: "user", content }],
    max_tokens: 1000,
    ...(stream ? { stream } : {}),
  });
}

/** Sends `count` requests, `concurrency` at a time. Returns how many were not answered with 200 and to their end. */
async function closedLoop(proxy: Proxy, body: string, concurrency: number, count: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  let left = count;
  let cut = 0;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      await post(proxy, agent, body).catch(() => {
        cut++;
      });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  agent.destroy();
  return cut;
}

async function p50Us(proxy: Proxy, body: string, count: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const startMs = performance.now();
    await post(proxy, agent, body);
    times.push((performance.now() - startMs) * 1000);
  }
  agent.destroy();
  return times.sort((a, b) => a - b)[count >> 1] ?? Number.NaN;
}

function post(proxy: Proxy, agent: Agent, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { ...proxy.headers, "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const outgoing = request(
      { host: "127.0.0.1", port: proxy.port, path: "/v1/chat/completions", method: "POST", agent, headers },
      (res) => {
        res.on("data", () => {});
        res.on("end", () =>
          res.statusCode === 200 ? resolve() : reject(new Error(`${proxy.name}: ${res.statusCode}`)),
        );
        res.on("error", (error) => reject(new Error(`${proxy.name}: ${error.message}`)));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
