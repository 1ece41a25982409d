import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { extProcTransports, startEpp } from "../epp-under-test.ts";
import { figure, median } from "../figure.ts";
import { errorRows, findExtecho, findExtload, type Load, load, startExtecho, warmUp } from "../go-clients.ts";
import { startPageServers } from "../page-servers.ts";

interface Workload {
  readonly name: string;
  readonly detail: string;
  readonly flags: readonly string[];
}

const workloads: readonly Workload[] = [
  { name: "small", detail: "1.2 KB prompts, one JSON answer, 16 requests at a time", flags: [] },
  {
    name: "10k-1000-chunks",
    detail: "43 KB prompts (10k tokens), answers of 1000 streamed chunks, 4 requests at a time",
    flags: ["-prompt", "43000", "-chunks", "1000", "-c", "4"],
  },
  {
    name: "100k",
    detail: "430 KB prompts (100k tokens), one JSON answer, 4 requests at a time",
    flags: ["-prompt", "430000", "-c", "4"],
  },
];
const endpoints = 10;
const echoName = "grpc-go echo";

/** The complete picker process under a grpc-go client that behaves as Envoy does, beside a bare grpc-go echo. */
export const extProcCases: readonly BenchCase[] = workloads.map((workload) => ({
  name: `ext-proc/${workload.name}`,
  about: `the complete EPP (baseline plugins, ${endpoints} endpoints of 32 KB scraped at 50 ms) and the ${echoName} (no plugins, no scraping) in turn, closed loop; CPU of the server process by completed requests.`,
  detail: workload.detail,
  run: (bench) => run(bench, workload),
}));

async function run(bench: BenchRun, workload: Workload): Promise<readonly Row[]> {
  const name = `ext-proc/${workload.name}`;
  const extload = findExtload();
  const extecho = findExtecho();
  const missing = [extload, extecho].flatMap((part) => ("missing" in part ? [part.missing] : []));
  if ("missing" in extload || "missing" in extecho) {
    return [{ case: name, quantity: "CPU, latency", kind: "not measured", why: missing.join(" ") }];
  }
  const rounds = bench.quick ? 2 : 3;
  const time = bench.quick ? { warmMs: 500, measuredMs: 3000 } : { warmMs: 1000, measuredMs: 8000 };
  const servers = await startPageServers(bench, endpoints);
  const echo = await startExtecho(bench, extecho.path);
  const rows: Row[] = [];
  for (const transport of extProcTransports()) {
    const epp = await startEpp(bench, servers.endpointsFile, { transport });
    const target = { port: epp.extProcPort, pid: epp.pid };
    bench.progress(`${name}: ${transport}, warm-up`);
    await warmUp(bench, extload.path, target, workload.flags);
    const ours: Load[] = [];
    const reference: Load[] = [];
    for (let round = 1; round <= rounds; round++) {
      bench.progress(`${name}: ${transport}, round ${round} of ${rounds}`);
      ours.push(await load(bench, extload.path, target, time, workload.flags));
      reference.push(await load(bench, extload.path, echo, time, workload.flags));
    }
    await epp.running.stop();
    rows.push(...rowsOf(name, transport, ours, reference));
  }
  return rows;
}

function rowsOf(name: string, transport: string, ours: readonly Load[], reference: readonly Load[]): Row[] {
  const rate = (loads: readonly Load[]): string => median(loads.map((each) => each.requestsPerSecond)).toFixed(0);
  const rows: Row[] = (
    [
      ["CPU ms/request", "cpuMsPerRequest", `${rate(ours)} requests/s, echo ${rate(reference)}`],
      ["decision p50 ms", "p50Ms", ""],
      ["decision p99 ms", "p99Ms", ""],
    ] as const
  ).map(([quantity, key, note]) =>
    figure({
      case: name,
      quantity: `${transport}: ${quantity}`,
      pointsman: ours.map((each) => each[key]),
      reference: { what: echoName, values: reference.map((each) => each[key]) },
      note,
    }),
  );
  rows.push(...errorRows(name, transport, ours), ...errorRows(name, echoName, reference));
  return rows;
}
