import type { BenchCase, BenchRun, Row } from "../bench-case.ts";
import { extProcTransports, startEpp } from "../epp-under-test.ts";
import { figure } from "../figure.ts";
import { errorRows, findExtload, type Load, load, warmUp } from "../go-clients.ts";
import { checkHeld, type HeldStreams, holdStreams } from "../held-streams.ts";
import { startPageServers } from "../page-servers.ts";
import { memoryMib, sleep } from "../process-usage.ts";

const streams = 2000;
const promptBytes = 43_000;
const endpoints = 10;
const requestsPerSecond = 50;
const settleMs = 3000;

/** What open streams cost in memory, and the requests beside them in latency. */
export const memoryCases: readonly BenchCase[] = [
  {
    name: `memory/${streams}-streams`,
    about: `the complete EPP (baseline plugins, ${endpoints} endpoints of 32 KB at 50 ms) with ${streams} streams held open by a grpc-js client in another process: each has sent a 43 KB prompt (10k tokens), got its decision, and sent the head and the first chunk of a streamed answer. RSS beside that of the same process just before: of one that has served nothing yet, and of one that has served small requests as fast as it can. Latency: the small workload at ${requestsPerSecond} requests/s, without and with the open streams in turn.`,
    run,
  },
];

const name = memoryCases[0]!.name;

async function run(bench: BenchRun): Promise<readonly Row[]> {
  const servers = await startPageServers(bench, endpoints);
  const rows: Row[] = [];
  for (const transport of extProcTransports()) {
    const epp = await startEpp(bench, servers.endpointsFile, { transport });
    rows.push(...(await measure(bench, transport, { port: epp.extProcPort, pid: epp.pid })));
    await epp.running.stop();
  }
  return rows;
}

type Target = { readonly port: number; readonly pid: number };

/** Holds the streams as long as `meanwhile` takes. Gives RSS in MiB before they were opened and while they are open. */
async function withStreams(
  bench: BenchRun,
  target: Target,
  meanwhile: () => Promise<void>,
): Promise<{ readonly before: number; readonly held: number }> {
  const before = memoryMib(target.pid).rss;
  const client = await holdStreams(bench, { port: target.port, streams, promptBytes });
  await sleep(settleMs);
  const held = memoryMib(target.pid).rss;
  await meanwhile();
  checkHeld(await client.ask<HeldStreams>("state"), streams);
  await client.stop();
  await sleep(settleMs);
  return { before, held };
}

async function measure(bench: BenchRun, transport: string, target: Target): Promise<readonly Row[]> {
  bench.progress(`${name}: ${transport}, fresh process`);
  const fresh = await withStreams(bench, target, async () => {});
  const perStreamKib = ((fresh.held - fresh.before) * 1024) / streams;
  const rows: Row[] = [
    figure({
      case: name,
      quantity: `${transport}: RSS MiB, fresh`,
      pointsman: [fresh.held],
      reference: { what: "before", values: [fresh.before] },
      note: `${perStreamKib.toFixed(0)} KiB/stream`,
    }),
  ];
  const extload = findExtload();
  if ("missing" in extload) {
    const quantity = `${transport}: RSS after load, latency`;
    return [...rows, { case: name, quantity, kind: "not measured", why: extload.missing }];
  }

  const rounds = bench.quick ? 1 : 3;
  const time = bench.quick ? { warmMs: 500, measuredMs: 4000 } : { warmMs: 1000, measuredMs: 10_000 };
  const openLoop = ["-rate", String(requestsPerSecond)];
  const quiet: Load[] = [];
  const beside: Load[] = [];
  const memory: { readonly before: number; readonly held: number }[] = [];
  // Compiled code and a heap as they are after a while of serving.
  await warmUp(bench, extload.path, target, []);
  for (let round = 1; round <= rounds; round++) {
    bench.progress(`${name}: ${transport}, round ${round} of ${rounds}`);
    quiet.push(await load(bench, extload.path, target, time, openLoop));
    const used = await withStreams(bench, target, async () => {
      beside.push(await load(bench, extload.path, target, time, openLoop));
    });
    memory.push(used);
  }
  rows.push(
    figure({
      case: name,
      quantity: `${transport}: RSS MiB, after load`,
      pointsman: memory.map((each) => each.held),
      reference: { what: "before", values: memory.map((each) => each.before) },
      note: `highest of the run ${memoryMib(target.pid).peak.toFixed(0)} MiB`,
    }),
    figure({
      case: name,
      quantity: `${transport}: decision p99 ms`,
      pointsman: beside.map((each) => each.p99Ms),
      reference: { what: "without streams", values: quiet.map((each) => each.p99Ms) },
    }),
  );
  rows.push(...errorRows(name, transport, [...quiet, ...beside]));
  return rows;
}
