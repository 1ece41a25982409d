import { afterAll, beforeAll, expect, test } from "vitest";
import { post, Stack, until } from "./stack.ts";

const stack = new Stack();
let base = "";
beforeAll(async () => {
  await stack.startServers(4);
  await stack.startEpp();
  base = `http://127.0.0.1:${stack.ports.proxy}`;
});
afterAll(() => stack.stop());

const warnings = (name: string): string[] =>
  stack.epp.lines.filter((line) => line.includes('"level":"warn"') && line.includes(name));

async function control(index: number, settings: Record<string, unknown>): Promise<void> {
  const answer = await post(stack.servers[index]!.url.origin, "/control", settings);
  expect(answer.status, answer.text).toBe(200);
}

const ask = (i: number) => post(base, "/v1/completions", { model: "Qwen/Qwen3-8B", prompt: `p${i}`, max_tokens: 1 });

test("a server with a garbage page and one whose page hangs are named once each, and are not preferred", async () => {
  await control(0, { metrics: "garbage" });
  await control(1, { hang: "metrics" });
  await until("both are in the log", () => warnings("sim-1").length > 0 && warnings("sim-2").length > 0);
  // Once their signals are stale: unknown is never better than known.
  await until("only the others serve", async () => {
    const served = new Set<string | undefined>();
    for (let i = 0; i < 20; i++) {
      const answer = await ask(i);
      expect(answer.status, answer.text).toBe(200);
      served.add(answer.server);
    }
    return [...served].sort().join() === "sim-3,sim-4";
  });
  expect(warnings("sim-1")).toHaveLength(1);
  expect(warnings("sim-2")).toHaveLength(1);
  expect(warnings("sim-3")).toHaveLength(0);
});

test("when they recover, it is said once and they serve again", async () => {
  await control(0, { metrics: "normal" });
  await control(1, { hang: null });
  const recovered = (name: string): number =>
    stack.epp.lines.filter((line) => line.includes('"level":"info"') && line.includes(`default/${name}`)).length;
  await until("both have recovered", () => recovered("sim-1") === 1 && recovered("sim-2") === 1);
  const served = new Set<string | undefined>();
  await until("they serve again", async () => {
    for (let i = 0; i < 20; i++) served.add((await ask(100 + i)).server);
    return served.has("sim-1") && served.has("sim-2");
  });
});

test("with every server down, requests fail with a clear text, and serve again when one is back", async () => {
  for (const { running } of stack.servers) await running.stop("SIGKILL");
  const answer = await ask(200);
  expect(answer.status).toBe(502);
  expect(answer.text).toContain("inference error: BadGateway");
  await stack.startServers(1);
  await until("the new server answers", async () => (await ask(201)).status === 200);
});
