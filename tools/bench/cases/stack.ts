import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { jitWarmMs } from "../epp-under-test.ts";
import { figure, median } from "../figure.ts";
import {
  findEnvoy,
  findHttpload,
  findSglangRouter,
  type HttpLoad,
  httpLoad,
  type ModelServers,
  type ProxyUnderTest,
  startBuiltInProxy,
  startEnvoyAndEpp,
  startModelServers,
  startSglangRouter,
} from "../http-stack.ts";
import type { Part } from "../programs.ts";

interface Workload {
  readonly name: string;
  readonly detail: string;
  readonly chunks: number;
  readonly flags: readonly string[];
}

const workloads: readonly Workload[] = [
  {
    name: "small",
    detail: "1.2 KB prompts, one JSON answer, 16 requests at a time",
    chunks: 1,
    flags: ["-prompt", "1200", "-c", "16"],
  },
  {
    name: "10k-1000-chunks",
    detail: "43 KB prompts (10k tokens), answers of 1000 streamed chunks, 4 requests at a time",
    chunks: 1000,
    flags: ["-prompt", "43000", "-c", "4"],
  },
  {
    name: "100k",
    detail: "430 KB prompts (100k tokens), one JSON answer, 4 requests at a time",
    chunks: 1,
    flags: ["-prompt", "430000", "-c", "4"],
  },
];

interface Contender {
  readonly name: string;
  readonly needs: () => Part | undefined;
  start(bench: BenchRun, servers: ModelServers, path: string): Promise<ProxyUnderTest>;
}

const rust = "sglang-router";
const contenders: readonly Contender[] = [
  {
    name: "Envoy + EPP",
    needs: findEnvoy,
    start: (bench, { endpointsFile }, path) => startEnvoyAndEpp(bench, path, endpointsFile, "tcp"),
  },
  {
    name: "Envoy + EPP, Unix socket",
    needs: findEnvoy,
    start: (bench, { endpointsFile }, path) => startEnvoyAndEpp(bench, path, endpointsFile, "unix-socket"),
  },
  {
    name: "built-in proxy",
    needs: () => undefined,
    start: (bench, { endpointsFile }) => startBuiltInProxy(bench, endpointsFile),
  },
  {
    name: rust,
    needs: findSglangRouter,
    start: (bench, { ports }, path) => startSglangRouter(bench, path, ports),
  },
];

/** Everything between a client and the model servers: the picker behind Envoy, and by itself, beside a router in Rust. */
export const stackCases: readonly BenchCase[] = workloads.map((workload) => ({
  name: `stack/${workload.name}`,
  about:
    "HTTP requests through the whole stack to four fake model servers that answer at once and whose pages are scraped at 50 ms: Envoy (one worker thread) with the EPP (baseline plugins) over TCP and over a Unix socket, the EPP's built-in proxy, and sglang-router (Rust, its default policy cache_aware) in turn, closed loop; CPU of all processes between client and model servers by completed requests.",
  detail: workload.detail,
  run: (bench) => run(bench, workload),
}));

async function run(bench: BenchRun, workload: Workload): Promise<readonly Row[]> {
  const name = `stack/${workload.name}`;
  const httpload = findHttpload();
  if ("missing" in httpload) return [{ case: name, quantity: "all", kind: "not measured", why: httpload.missing }];
  const rounds = bench.quick ? 2 : 3;
  const time = bench.quick ? { warmMs: 500, measuredMs: 3000 } : { warmMs: 1000, measuredMs: 8000 };
  const flags = [...workload.flags, "-chunks", String(workload.chunks)];
  const servers = await startModelServers(bench, httpload.path, workload.chunks);
  const rows: Row[] = [];
  const running: { readonly name: string; readonly proxy: ProxyUnderTest; readonly loads: HttpLoad[] }[] = [];
  for (const { name: contender, needs, start } of contenders) {
    const part = needs();
    if (part !== undefined && "missing" in part) {
      rows.push({ case: name, quantity: contender, kind: "not measured", why: part.missing });
      continue;
    }
    bench.progress(`${name}: ${contender}, warm-up`);
    const proxy = await start(bench, servers, part?.path ?? "");
    await httpLoad(bench, httpload.path, proxy, { warmMs: 0, measuredMs: jitWarmMs }, flags);
    running.push({ name: contender, proxy, loads: [] });
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { name: contender, proxy, loads } of running) {
      bench.progress(`${name}: ${contender}, round ${round} of ${rounds}`);
      loads.push(await httpLoad(bench, httpload.path, proxy, time, flags));
    }
  }
  const reference = running.find((each) => each.name === rust)?.loads;
  for (const { name: contender, proxy, loads } of running) {
    if (contender !== rust || reference === undefined) rows.push(...rowsOf(name, contender, proxy, loads, reference));
    const errors = loads.reduce((sum, each) => sum + each.errors, 0);
    if (errors === 0) continue;
    const first = loads.find((each) => each.errors > 0)?.firstError ?? "";
    rows.push({ case: name, quantity: `${contender}: errors`, kind: "failed", why: `${errors} requests. ${first}` });
  }
  return rows;
}

function rowsOf(
  name: string,
  contender: string,
  { processes }: ProxyUnderTest,
  ours: readonly HttpLoad[],
  reference: readonly HttpLoad[] | undefined,
): Row[] {
  const rate = (loads: readonly HttpLoad[]): string => median(loads.map((each) => each.requestsPerSecond)).toFixed(0);
  const parts = processes.map(
    ({ name: who }, i) => `${who} ${median(ours.map((each) => each.cpuMsPerRequest * each.shares[i]!)).toFixed(2)}`,
  );
  const note = [
    `${rate(ours)} requests/s${reference === undefined ? "" : `, ${rust} ${rate(reference)}`}`,
    ...(processes.length > 1 ? parts : []),
  ].join("; ");
  return (
    [
      ["CPU ms/request", "cpuMsPerRequest", note],
      ["first byte p50 ms", "firstByteP50Ms", ""],
      ["first byte p99 ms", "firstByteP99Ms", ""],
    ] as const
  ).map(([quantity, key, text]) =>
    figure({
      case: name,
      quantity: `${contender}: ${quantity}`,
      pointsman: ours.map((each) => each[key]),
      ...(reference === undefined ? {} : { reference: { what: rust, values: reference.map((each) => each[key]) } }),
      note: text,
    }),
  );
}
