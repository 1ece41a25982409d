import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "@pointsman/telemetry";
import { expect, onTestFinished, test } from "vitest";
import { Bench, until } from "./support/bench.ts";
import { chat, completion, pair, prefilled } from "./support/scenario.ts";

const listen = { host: "127.0.0.1", port: 0 };

test("the metrics port has metrics, health, and whether the decode server is there", async () => {
  const { bench, d, pf } = await pair({ metrics: listen });
  await bench.post(chat, pf);
  const base = `http://127.0.0.1:${bench.sidecar.metricsPort}`;
  const page = await (await fetch(`${base}/metrics`)).text();
  expect(page).toContain('pd_sidecar_requests_total{way="prefill-decode",code="200"} 1');
  expect(page).toContain('pd_sidecar_stage_duration_seconds_count{stage="prefill"} 1');
  expect(page).toContain('pd_sidecar_stage_duration_seconds_count{stage="decode"} 1');
  expect(page).toContain("moriio_dns_reresolve_total");
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  expect((await fetch(`${base}/readyz`)).status).toBe(200);
  expect((await fetch(`${base}/else`)).status).toBe(404);
  expect((await fetch(`${base}/metrics`, { method: "POST" })).status).toBe(405);
  const { hostPort } = d;
  await d.close();
  const notReady = await fetch(`${base}/readyz`);
  expect([notReady.status, await notReady.text()]).toEqual([503, `decode server ${hostPort}: ECONNREFUSED\n`]);
});

test("the access log has a line per request: the way it took, and how long each stage was", async () => {
  const lines: string[] = [];
  const logger = createLogger({ level: "info", destination: { write: (line) => void lines.push(line) } });
  const bench = new Bench();
  const p = await bench.server("P", { body: prefilled });
  const d = await bench.server("D", { body: completion });
  await bench.start([d], { accessLog: true }, { logger });
  await bench.post(
    { ...chat, messages: [{ role: "user", content: "secret words" }] },
    {
      "x-prefiller-host-port": p.hostPort,
      "x-request-id": "id-1",
    },
  );
  await until("it is logged", () => lines.some((line) => line.includes('"msg":"request"')));
  const line = JSON.parse(lines.find((each) => each.includes('"msg":"request"'))!) as Record<string, unknown>;
  expect(line).toMatchObject({
    "x-request-id": "id-1",
    method: "POST",
    path: "/v1/chat/completions",
    way: "prefill-decode",
    status: 200,
    prefill: p.hostPort,
    prefillMs: expect.any(Number),
    decodeMs: expect.any(Number),
    left: false,
  });
  expect(lines.join()).not.toContain("secret");
});

test("allowed hosts come from a file, which is read again when it changes", async () => {
  const directory = mkdtempSync(join(tmpdir(), "pd-sidecar-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "targets.yaml");
  writeFileSync(file, "- 10.0.0.1\n- pod-1\n");
  const { bench, pf } = await pair({ targets: { pool: undefined, poolRequired: false, hosts: undefined, file } });
  expect((await bench.post(chat, pf)).status).toBe(403);
  writeFileSync(file, 'endpoints:\n  - {name: p, address: 127.0.0.1, port: "8000"}\n');
  await until("it is allowed", async () => (await bench.post(chat, pf)).status === 200);
  writeFileSync(file, "no list");
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect((await bench.post(chat, pf)).status).toBe(200);
});

test.each([
  [
    "a file that is not there",
    { pool: undefined, poolRequired: false, hosts: undefined, file: "/nowhere" },
    "PD_SIDECAR_TARGETS",
  ],
  [
    "a host that is none",
    { pool: undefined, poolRequired: false, hosts: ["a b"], file: undefined },
    "PD_SIDECAR_TARGETS",
  ],
  [
    "a pool that has to be watched and cannot be",
    { pool: { namespace: "n", name: "p", group: "g" }, poolRequired: true, hosts: undefined, file: undefined },
    "PD_SIDECAR_POOL",
  ],
])("%s keeps the sidecar from starting", async (_what, targets, code) => {
  const bench = new Bench();
  const d = await bench.server("D", { body: completion });
  await expect(bench.start([d], { targets })).rejects.toMatchObject({ code });
});

test("a pool that need not be watched and cannot be restricts nothing", async () => {
  const pool = { namespace: "n", name: "p", group: "g" };
  const targets = { pool, poolRequired: false, hosts: undefined, file: undefined };
  const bench = new Bench();
  const p = await bench.server("P", { body: prefilled });
  const d = await bench.server("D", { body: completion });
  await bench.start([d], { targets }, { poolTargets: { open: () => Promise.reject(new Error("forbidden")) } });
  expect((await bench.post(chat, { "x-prefiller-host-port": p.hostPort })).status).toBe(200);
});

test("a pool that is never known lets a list beside it decide, and says so on the metrics page", async () => {
  const pool = { namespace: "n", name: "p", group: "g" };
  const members = {
    listed: new Promise<void>(() => {}),
    missing: () => "away",
    wasKnown: () => false,
    has: () => false,
    stop: () => {},
  };
  const dependencies = { poolTargets: { open: async () => members }, poolWaitMs: 1 };
  const open = new Bench();
  const p = await open.server("P", { body: prefilled });
  const d = await open.server("D", { body: completion });
  await open.start([d], { targets: { pool, poolRequired: false, hosts: undefined, file: undefined } }, dependencies);
  expect((await open.post(chat, { "x-prefiller-host-port": p.hostPort })).status).toBe(200);
  expect(await open.metric("pd_sidecar_targets_restricted")).toBe(0);
  const listed = new Bench();
  await listed.start(
    [d],
    { targets: { pool, poolRequired: false, hosts: ["10.0.0.1"], file: undefined } },
    dependencies,
  );
  expect((await listed.post(chat, { "x-prefiller-host-port": p.hostPort })).status).toBe(403);
  expect(await listed.metric("pd_sidecar_targets_restricted")).toBe(1);
});

test("two hundred requests at once, half of them streams, all arrive on ten connections or more", async () => {
  const { bench, pf } = await pair(
    {},
    [{ body: prefilled }],
    [
      (seen, res) => {
        if (seen.json?.["stream"] !== true) return { body: completion };
        res.writeHead(200, { "content-type": "text/event-stream" });
        let left = 5;
        const next = (): void =>
          void (left-- > 0 ? res.write("data: {}\n\n", () => setImmediate(next)) : res.end("data: [DONE]\n\n"));
        next();
        return undefined;
      },
    ],
  );
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => bench.post({ ...chat, stream: i % 2 === 0 }, i % 3 === 0 ? {} : pf)),
  );
  expect(answers.map((answer) => answer.status)).toEqual(new Array(200).fill(200));
  expect(answers.filter((answer) => answer.text.endsWith("data: [DONE]\n\n"))).toHaveLength(100);
});
