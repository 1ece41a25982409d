import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { jitWarmMs, scrapeIntervalMs, startEpp } from "../epp-under-test.ts";
import { figure, median } from "../figure.ts";
import { type PageServers, startPageServers } from "../page-servers.ts";
import { type CpuUse, measureCpu, sleep } from "../process-usage.ts";

const plain = "plain sockets";

/** What it costs to keep the metrics of a pool fresh. */
export const scrapeCases: readonly BenchCase[] = [10, 100, 500].map((endpoints) => ({
  name: `scrape/${endpoints}`,
  about: `an EPP (baseline plugins) without requests that scrapes as many endpoints of 32 KB every ${scrapeIntervalMs} ms; in turn with it, a process that fetches the same pages over plain sockets and reads nothing in them. For polls/s, more is better.`,
  run: (bench) => run(bench, endpoints),
}));

interface Scraping {
  readonly cores: number;
  readonly pollsPerSecond: number;
  readonly cpuUsPerPoll: number;
  readonly serverCores: number;
}

async function run(bench: BenchRun, endpoints: number): Promise<readonly Row[]> {
  const name = `scrape/${endpoints}`;
  const rounds = bench.quick ? 1 : 3;
  const measuredMs = bench.quick ? 3000 : 8000;
  const servers = await startPageServers(bench, endpoints);
  const ours: Scraping[] = [];
  const failedPolls: number[] = [];
  const reference: Scraping[] = [];
  for (let round = 1; round <= rounds; round++) {
    bench.progress(`${name}: round ${round} of ${rounds}`);
    const epp = await startEpp(bench, servers.endpointsFile);
    ours.push(await watch(epp.pid, servers, { warmMs: jitWarmMs, measuredMs }));
    failedPolls.push(await epp.failedPolls());
    await epp.running.stop();
    const scraper = bench.children.worker("plain-scraper-process.ts", [scrapeIntervalMs, ...servers.ports]);
    await scraper.next<string>();
    reference.push(await watch(scraper.pid, servers, { warmMs: jitWarmMs / 2, measuredMs }));
    await scraper.stop();
  }
  const asked = (endpoints * 1000) / scrapeIntervalMs;
  const serverCores = median(ours.map((each) => each.serverCores)).toFixed(2);
  return [
    figure({
      case: name,
      quantity: "cores",
      pointsman: ours.map((each) => each.cores),
      reference: { what: plain, values: reference.map((each) => each.cores) },
    }),
    figure({
      case: name,
      quantity: "CPU us/poll",
      pointsman: ours.map((each) => each.cpuUsPerPoll),
      reference: { what: plain, values: reference.map((each) => each.cpuUsPerPoll) },
    }),
    figure({
      case: name,
      quantity: "polls/s",
      pointsman: ours.map((each) => each.pollsPerSecond),
      reference: { what: "asked for", values: ours.map(() => asked) },
      note: `${plain} ${median(reference.map((each) => each.pollsPerSecond)).toFixed(0)}; page servers ${serverCores} cores; failed polls since start ${median(failedPolls).toFixed(0)}`,
    }),
  ];
}

/** Watches a scraping process from outside; the servers count what it fetched. */
async function watch(
  pid: number,
  servers: PageServers,
  time: { readonly warmMs: number; readonly measuredMs: number },
): Promise<Scraping> {
  await sleep(time.warmMs);
  const before = await servers.served();
  const [use, serverUse]: readonly [CpuUse, CpuUse] = await Promise.all([
    measureCpu(pid, time.measuredMs),
    measureCpu(servers.pid, time.measuredMs),
  ]);
  const polls = (await servers.served()) - before;
  if (polls === 0) throw new Error("the process fetched no page");
  return {
    cores: use.cores,
    pollsPerSecond: (polls * 1000) / use.elapsedMs,
    cpuUsPerPoll: (use.cpuMs * 1000) / polls,
    serverCores: serverUse.cores,
  };
}
