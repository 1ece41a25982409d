import { Agent, get } from "node:http";
import { afterEach, expect, test } from "vitest";
import { type ControlPatch, type ModelSim, type ModelSimOptions, startModelSim } from "./index.ts";

const running: ModelSim[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((sim) => sim.stop()));
});

async function start(options: ModelSimOptions = {}): Promise<ModelSim> {
  const sim = await startModelSim({ name: "sim-1", model: "base", timeScale: 100, ...options });
  running.push(sim);
  return sim;
}

async function complete(sim: ModelSim, more: object = {}, signal?: AbortSignal): Promise<Response> {
  const body = JSON.stringify({ prompt: "abcd", max_tokens: 6, ...more });
  return await fetch(`${sim.url}/v1/completions`, {
    method: "POST",
    body,
    ...(signal === undefined ? {} : { signal }),
  });
}

async function postControl(url: string, patch: unknown) {
  const reply = await fetch(`${url}/control`, { method: "POST", body: JSON.stringify(patch) });
  return { status: reply.status, body: JSON.parse(await reply.text()) };
}

/** Whether a request stays without an answer while another endpoint answers many times. */
async function hangs(sim: ModelSim, ask: (signal: AbortSignal) => Promise<Response>, alive: string): Promise<boolean> {
  const abort = new AbortController();
  let answered = false;
  const asked = ask(abort.signal).then(
    () => {
      answered = true;
    },
    () => undefined,
  );
  for (let i = 0; i < 20; i += 1) await (await fetch(sim.url + alive)).text();
  abort.abort();
  await asked;
  return !answered;
}

test("injected errors hit the given fraction of inference requests and nothing else", async () => {
  const sim = await start({ control: { errors: { status: 500, fraction: 0.5 } } });
  const statuses: number[] = [];
  for (let i = 0; i < 40; i += 1) {
    const reply = await complete(sim);
    statuses.push(reply.status);
    const body = JSON.parse(await reply.text());
    if (reply.status === 500) expect(body.error).toMatchObject({ type: "InjectedError", code: 500 });
  }
  expect(new Set(statuses)).toEqual(new Set([200, 500]));
  const failed = statuses.filter((status) => status === 500).length;
  expect(sim.stats().finishedRequests).toBe(40 - failed);
  expect((await fetch(`${sim.url}/health`)).status).toBe(200);
  await sim.control({ errors: null });
  expect((await complete(sim)).status).toBe(200);
});

test("hanging inference leaves metrics and health alive", async () => {
  const sim = await start({ control: { hang: "inference" } });
  expect(await hangs(sim, (signal) => complete(sim, {}, signal), "/metrics")).toBe(true);
  expect((await fetch(`${sim.url}/health`)).status).toBe(200);
});

test("hanging metrics leaves inference alive", async () => {
  const sim = await start({ control: { hang: "metrics" } });
  expect(await hangs(sim, (signal) => fetch(`${sim.url}/metrics`, { signal }), "/health")).toBe(true);
  expect((await complete(sim)).status).toBe(200);
});

test("when everything hangs the control endpoint still answers and ends it", async () => {
  const sim = await start({ control: { hang: "all" } });
  for (const path of ["/health", "/metrics", "/v1/models", "/nowhere"]) {
    expect(await hangs(sim, (signal) => fetch(sim.url + path, { signal }), "/control")).toBe(true);
  }
  expect(await hangs(sim, (signal) => complete(sim, {}, signal), "/control")).toBe(true);
  expect((await postControl(sim.url, { hang: null })).status).toBe(200);
  expect((await complete(sim)).status).toBe(200);
});

test("a cut stream ends after the given number of events, without [DONE]", async () => {
  for (const afterChunks of [0, 1, 3]) {
    const sim = await start({ control: { cut: { afterChunks } } });
    const reply = await complete(sim, { stream: true });
    expect(reply.status).toBe(200);
    let received = "";
    let isBroken = false;
    try {
      for await (const chunk of reply.body ?? []) received += Buffer.from(chunk).toString();
    } catch {
      isBroken = true;
    }
    expect(isBroken).toBe(true);
    expect(received.split("data: ").length - 1).toBe(afterChunks);
    expect(received).not.toContain("[DONE]");
    await expect.poll(() => sim.stats()).toMatchObject({ openRequests: 0, usedBlocks: 0 });
  }
});

test("a cut JSON reply ends in the middle of its body", async () => {
  const sim = await start({ control: { cut: {} } });
  const reply = await complete(sim);
  const declaredBytes = Number(reply.headers.get("content-length"));
  let receivedBytes = 0;
  const reading = async () => {
    for await (const chunk of reply.body ?? []) receivedBytes += chunk.length;
  };
  await expect(reading()).rejects.toThrow();
  expect(receivedBytes).toBe(declaredBytes >> 1);
});

test("stale metrics do not change, garbage ones are no metrics, normal ones are true again", async () => {
  const sim = await start();
  const read = async () => await (await fetch(`${sim.url}/metrics`)).text();
  const generated = (tokens: number) => `vllm:generation_tokens_total{engine="0",model_name="base"} ${tokens}.0\n`;
  await sim.control({ metrics: "stale" });
  await (await complete(sim)).text();
  expect(await read()).toContain(generated(0));
  await sim.control({ metrics: "garbage" });
  expect(await read()).not.toContain("vllm:generation_tokens_total");
  await sim.control({ metrics: "normal" });
  expect(await read()).toContain(generated(6));
});

test("padding makes the metrics page larger by at least its bytes", async () => {
  const sim = await start({ control: { metricsPaddingBytes: 100_000 } });
  expect((await (await fetch(`${sim.url}/metrics`)).arrayBuffer()).byteLength).toBeGreaterThan(100_000);
});

test("the slow factor stretches the simulated time of a request", async () => {
  const sim = await start({ timeScale: 1000 });
  const firstTokenSeconds = async () => {
    const page = await (await fetch(`${sim.url}/metrics`)).text();
    return Number(/^vllm:time_to_first_token_seconds_sum\S+ (\S+)$/m.exec(page)?.[1]);
  };
  await (await complete(sim, { max_tokens: 1 })).text();
  const normal = await firstTokenSeconds();
  await sim.control({ slowFactor: 50 });
  await (await complete(sim, { max_tokens: 1 })).text();
  expect((await firstTokenSeconds()) - normal).toBeCloseTo(50 * normal, 9);
});

test("a refusing server takes no new connection, keeps open ones, and comes back on its port", async () => {
  const sim = await start({ controlPort: 0 });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const health = () =>
    new Promise<number | undefined>((resolve, reject) => {
      get(`${sim.url}/health`, { agent }, (reply) => {
        reply.resume();
        reply.on("end", () => resolve(reply.statusCode));
      }).on("error", reject);
    });
  expect(await health()).toBe(200);
  const { port } = sim;
  const controlUrl = sim.controlUrl ?? "";
  expect(await postControl(controlUrl, { refuse: "new" })).toMatchObject({ status: 200, body: { refuse: "new" } });
  await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  expect(await health()).toBe(200);
  await postControl(controlUrl, { refuse: "all" });
  await expect(health()).rejects.toThrow();
  expect((await postControl(controlUrl, { refuse: null })).body.refuse).toBeNull();
  expect(sim.port).toBe(port);
  expect((await fetch(`${sim.url}/health`)).status).toBe(200);
  agent.destroy();
});

test("a server can start refusing, and be opened by its own process", async () => {
  const sim = await start({ control: { refuse: "new" } });
  await expect(fetch(`${sim.url}/health`)).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  await sim.control({ refuse: null });
  expect((await fetch(`${sim.url}/health`)).status).toBe(200);
});

test("the port that would be closed does not take the order to close it", async () => {
  const sim = await start();
  const reply = await postControl(sim.url, { refuse: "new", slowFactor: 2 });
  expect(reply.status).toBe(409);
  expect(reply.body.error).toMatchObject({ type: "ConflictError", param: "refuse" });
  expect(sim.stats().control).toMatchObject({ refuse: null, slowFactor: 1 });
});

test("a port taken by someone else in between keeps the server refusing and says so", async () => {
  const sim = await start();
  await sim.control({ refuse: "new" });
  const other = await start({ port: sim.port });
  await expect(sim.control({ refuse: null })).rejects.toThrow("cannot be opened again");
  expect(sim.stats().control.refuse).toBe("new");
  await other.stop();
  await sim.control({ refuse: null });
  expect((await fetch(`${sim.url}/health`)).status).toBe(200);
});

test("the control endpoint shows what is set, takes parts of it, and refuses the whole patch for one error", async () => {
  const sim = await start({ controlPort: 0 });
  for (const url of [sim.url, sim.controlUrl ?? ""]) {
    const set = await postControl(url, { errors: { fraction: 0 }, slowFactor: 2 });
    expect(set.body).toMatchObject({ errors: { status: 503, fraction: 0 }, slowFactor: 2 });
    const wrong = await postControl(url, { slowFactor: 3, hangs: "all" });
    expect(wrong.status).toBe(400);
    expect(wrong.body.error).toMatchObject({ type: "BadRequestError", param: "hangs" });
    expect(wrong.body.error.message).toContain('Nearest: "hang"');
    const shown = await (await fetch(`${url}/control`)).text();
    expect(JSON.parse(shown)).toEqual(sim.stats().control);
    expect(sim.stats().control.slowFactor).toBe(2);
  }
  expect((await fetch(`${sim.controlUrl}/health`)).status).toBe(404);
  const huge = await fetch(`${sim.url}/control`, { method: "POST", body: "x".repeat(100_000) });
  expect(huge.status).toBe(413);
});

test("a wrong patch in the same process rejects and changes nothing", async () => {
  const sim = await start();
  const wrong: ControlPatch = { slowFactor: 0 };
  await expect(sim.control(wrong)).rejects.toThrow('"slowFactor" must be a number from 0.001 to 1000, not 0');
  expect(sim.stats().control.slowFactor).toBe(1);
});

test("stopping without grace ends open requests at once", async () => {
  const sim = await start({ timeScale: 1, control: { hang: "inference" } });
  const asked = complete(sim).then(
    () => "answered",
    () => "gone",
  );
  await expect.poll(() => sim.stats().openRequests).toBe(1);
  await sim.stop();
  expect(await asked).toBe("gone");
  await expect(fetch(`${sim.url}/health`)).rejects.toThrow();
});

test("stopping with grace lets open requests finish and refuses new ones", async () => {
  const sim = await start({ timeScale: 1 });
  const asked = complete(sim, { max_tokens: 20 }).then((reply) => reply.text());
  await expect.poll(() => sim.stats().openRequests).toBe(1);
  const stopped = sim.stop({ graceMs: 60_000 });
  await expect(complete(sim)).rejects.toThrow();
  expect(JSON.parse(await asked).usage.completion_tokens).toBe(20);
  await stopped;
  expect(sim.stats()).toMatchObject({ openRequests: 0, finishedRequests: 1 });
});
