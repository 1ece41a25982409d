import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { startEpp } from "../epp-under-test.ts";
import { figure } from "../figure.ts";
import { errorRows, findExtecho, findExtload, type Load, load, startExtecho, warmUp } from "../go-clients.ts";
import { startPageServers } from "../page-servers.ts";

const requestsPerSecond = 200;
const flags = ["-rate", String(requestsPerSecond)];
const echoName = "grpc-go echo";

/** Decision latency where requests come at a rate of their own, whatever the server does. */
export const openLoopCases: readonly BenchCase[] = [0, 100].map((endpoints) => ({
  name: endpoints === 0 ? "open-loop/alone" : `open-loop/scrape-${endpoints}`,
  about: `small requests at ${requestsPerSecond} a second through ext_proc, whether earlier ones are done or not: the complete EPP (baseline plugins, its default transport) and the ${echoName} in turn, beside it the servers of the pages that the EPP scrapes.`,
  detail:
    endpoints === 0
      ? "one endpoint that is scraped once a minute"
      : `${endpoints} endpoints of 32 KB scraped at 50 ms, also while the echo is measured`,
  run: (bench) => run(bench, endpoints),
}));

async function run(bench: BenchRun, endpoints: number): Promise<readonly Row[]> {
  const name = endpoints === 0 ? "open-loop/alone" : `open-loop/scrape-${endpoints}`;
  const extload = findExtload();
  const extecho = findExtecho();
  const missing = [extload, extecho].flatMap((part) => ("missing" in part ? [part.missing] : []));
  if ("missing" in extload || "missing" in extecho) {
    return [{ case: name, quantity: "latency, CPU", kind: "not measured", why: missing.join(" ") }];
  }
  const rounds = bench.quick ? 2 : 3;
  const time = bench.quick ? { warmMs: 500, measuredMs: 4000 } : { warmMs: 1000, measuredMs: 10_000 };
  const servers = await startPageServers(bench, Math.max(1, endpoints));
  const echo = await startExtecho(bench, extecho.path);
  const epp = await startEpp(bench, servers.endpointsFile, endpoints === 0 ? { scrapeIntervalMs: 60_000 } : {});
  const target = { port: epp.extProcPort, pid: epp.pid };
  bench.progress(`${name}: warm-up`);
  await warmUp(bench, extload.path, target, []);
  const ours: Load[] = [];
  const reference: Load[] = [];
  for (let round = 1; round <= rounds; round++) {
    bench.progress(`${name}: round ${round} of ${rounds}`);
    ours.push(await load(bench, extload.path, target, time, flags));
    reference.push(await load(bench, extload.path, echo, time, flags));
  }
  return [
    ...(
      [
        ["decision p50 ms", "p50Ms"],
        ["decision p99 ms", "p99Ms"],
        ["cores", "cores"],
      ] as const
    ).map(([quantity, key]) =>
      figure({
        case: name,
        quantity,
        pointsman: ours.map((each) => each[key]),
        reference: { what: echoName, values: reference.map((each) => each[key]) },
      }),
    ),
    ...errorRows(name, "EPP", ours),
    ...errorRows(name, echoName, reference),
  ];
}
