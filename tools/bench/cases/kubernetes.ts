import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parts } from "../../e2e/parts.ts";
import { baselineConfig } from "../baseline-config.ts";
import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { figure } from "../figure.ts";
import { errorRows, findExtload, type Load, load, warmUp } from "../go-clients.ts";
import type { KubeApiState } from "../kube-api-process.ts";
import { startPageServers } from "../page-servers.ts";
import { memoryMib, sleep } from "../process-usage.ts";

const pods = 1000;
const changesPerSecond = 50;
const requestsPerSecond = 200;
const name = `kubernetes/${pods}-pods`;
const flags = ["-rate", String(requestsPerSecond)];

/** What pods that change, and full lists of them, cost in memory, CPU and latency. */
export const kubernetesCases: readonly BenchCase[] = [
  {
    name,
    about: `the complete EPP (baseline plugins) that follows an InferencePool of ${pods} pods of 14 KB each, managedFields included, of an API server in another process, over TLS. Small requests at ${requestsPerSecond} a second through ext_proc, whether earlier ones are done or not: while nothing changes (the reference), while ${changesPerSecond} pods a second change (300 s without --quick), every tenth of them in its readiness, and while connections break every two seconds with every pod changed, so that all are listed and taken in again. Model servers are one, at an address that all pods have, which is scraped every 5 s for each of them.`,
    run,
  },
];

/** What a phase of the case showed. */
interface Phase {
  readonly load: Load;
  /** In use by V8 at its end, garbage included. */
  readonly heapMib: number;
  readonly longestDelayMs: number;
}

async function run(bench: BenchRun): Promise<readonly Row[]> {
  const extload = findExtload();
  if ("missing" in extload) return [{ case: name, quantity: "all", kind: "not measured", why: extload.missing }];
  const [quietMs, changesMs, listsMs] = bench.quick ? [8000, 30_000, 12_000] : [30_000, 300_000, 60_000];
  const servers = await startPageServers(bench, 1);
  const api = bench.children.worker("kube-api-process.ts", [pods, servers.ports[0]!]);
  const { cert, port } = await api.next<{ cert: string; port: number }>();
  const epp = await startPicker(bench, kubeconfig(bench, cert, port));
  const target = { port: epp.extProcPort, pid: epp.pid };
  bench.progress(`${name}: warm-up`);
  await warmUp(bench, extload.path, target, []);
  /** Its metrics page takes long with so many pods: it is read between phases only, and starts the count of delays anew. */
  const phase = async (what: string, measuredMs: number): Promise<Phase> => {
    bench.progress(`${name}: ${what}, ${measuredMs / 1000} s`);
    await page(epp.metricsPort);
    const measured = await load(bench, extload.path, target, { warmMs: 500, measuredMs }, flags);
    const text = await page(epp.metricsPort);
    return {
      load: measured,
      heapMib: metric(text, "nodejs_heap_size_used_bytes") / 2 ** 20,
      longestDelayMs: metric(text, "nodejs_eventloop_lag_max_seconds") * 1000,
    };
  };

  const quiet = await phase("nothing changes", quietMs);

  const before = await api.ask<KubeApiState>(`changes ${changesPerSecond}`);
  const rssMib: number[] = [];
  const sampled = every(changesMs / 30, async () => void rssMib.push(memoryMib(epp.pid).rss));
  const changing = await phase(`${changesPerSecond} changes a second`, changesMs);
  await sampled.stop();
  const after = await api.ask<KubeApiState>("state");

  const listed = every(2000, async () => void (await api.ask<KubeApiState>("relist")));
  const listing = await phase("lists", listsMs);
  await listed.stop();
  const end = await api.ask<KubeApiState>("changes 0");
  const known = await epp.endpoints();

  const during = `${changesPerSecond} changes/s`;
  const counts = {
    [during]: `${after.changes - before.changes} changes, ${after.podLists - before.podLists} lists`,
    lists: `${end.changes - after.changes} changes, ${end.podLists - after.podLists} lists`,
  };
  const phases = [[during, changing] as const, ["lists", listing] as const];
  const compare = (quantity: string, value: (of: Phase) => number): readonly Row[] =>
    phases.map(([what, of]) =>
      figure({
        case: name,
        quantity: `${quantity}, ${what}`,
        pointsman: [value(of)],
        reference: { what: "nothing changes", values: [value(quiet)] },
        note: counts[what] ?? "",
      }),
    );
  const fifth = Math.floor(rssMib.length / 5);
  const rows: Row[] = [
    ...compare("decision p50 ms", (of) => of.load.p50Ms),
    ...compare("decision p99 ms", (of) => of.load.p99Ms),
    ...compare("cores", (of) => of.load.cores),
    ...compare("longest delay of the event loop ms", (of) => of.longestDelayMs),
    ...compare("heap MiB at the end", (of) => of.heapMib),
    figure({
      case: name,
      quantity: `RSS MiB in the last fifth, ${during}`,
      pointsman: rssMib.slice(-fifth),
      reference: { what: "second fifth", values: rssMib.slice(fifth, 2 * fifth) },
      note: rssMib.map((each) => each.toFixed(0)).join(" "),
    }),
    ...errorRows(name, "EPP", [quiet.load, changing.load, listing.load]),
  ];
  const changes = after.changes - before.changes;
  const tooFew = changes < (0.9 * changesPerSecond * changesMs) / 1000;
  if (tooFew || end.backlogBytes > 1024 * 1024 || known !== pods) {
    const why = `${changes} changes in ${changesMs} ms, ${end.backlogBytes} bytes not taken, ${known} pods known at the end`;
    rows.push({ case: name, quantity: "all", kind: "failed", why });
  }
  return rows;
}

interface Picker {
  readonly pid: number;
  readonly extProcPort: number;
  readonly metricsPort: number;
  /** Pods that it knows. */
  endpoints(): Promise<number>;
}

async function startPicker(bench: BenchRun, kubeconfigFile: string): Promise<Picker> {
  const configFile = join(bench.directory, "epp-kubernetes.yaml");
  writeFileSync(configFile, baselineConfig({}));
  const running = bench.children.program(
    "epp",
    parts.epp,
    [
      "serve",
      ...["--bind-address=127.0.0.1", "--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"],
      ...["--secure-serving=false", "--metrics-endpoint-auth=false", "--refresh-metrics-interval=5s"],
      ...["--pool-name=pool", "--pool-namespace=inference", `--config-file=${configFile}`],
    ],
    { KUBECONFIG: kubeconfigFile },
  );
  const listening = await running.json((line) => line["msg"] === "listening");
  await running.json((line) => line["msg"] === "ready");
  const metricsPort = Number(listening["metrics"]);
  return {
    pid: running.pid,
    extProcPort: Number(listening["extProc"]),
    metricsPort,
    endpoints: async () => metric(await page(metricsPort), 'llm_d_epp_kubernetes_objects{resource="pods"}'),
  };
}

function kubeconfig(bench: BenchRun, cert: string, port: number): string {
  const file = join(bench.directory, "kubeconfig");
  const ca = Buffer.from(cert).toString("base64");
  writeFileSync(
    file,
    `current-context: bench
contexts: [{name: bench, context: {cluster: bench, user: bench}}]
clusters: [{name: bench, cluster: {server: "https://127.0.0.1:${port}", certificate-authority-data: ${ca}}}]
users: [{name: bench, user: {token: none}}]
`,
  );
  return file;
}

async function page(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

function metric(text: string, series: string): number {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  if (line === undefined) throw new Error(`the picker's metrics page has no ${series}`);
  return Number(line.slice(series.length + 1));
}

/** Does something again and again until it is stopped; rejects then when it failed. */
function every(intervalMs: number, run: () => Promise<void>): { stop(): Promise<void> } {
  let isOver = false;
  const done = (async () => {
    while (!isOver) {
      const nextAtMs = performance.now() + intervalMs;
      await run();
      while (!isOver && performance.now() < nextAtMs) await sleep(Math.min(100, intervalMs));
    }
  })();
  done.catch(() => {});
  return {
    stop: () => {
      isOver = true;
      return done;
    },
  };
}
