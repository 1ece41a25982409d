import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { metricOn, type PdServer, PdStack, pdConfig } from "./pd-stack.ts";
import { type Answer, post, until } from "./stack.ts";

const model = "Qwen/Qwen3-8B";
const words = (seed: string, count: number): string => Array.from({ length: count }, (_, i) => `${seed}${i}`).join(" ");
const chat = (content: string, extra: Record<string, unknown> = {}) => ({
  model,
  max_tokens: 8,
  messages: [{ role: "user", content }],
  ...extra,
});
const long = (seed: string) => chat(words(seed, 600));
const path = "/v1/chat/completions";
const way = (answer: Answer) => answer.headers.get("x-pd-way");
const cachedTokens = (text: string): number =>
  (JSON.parse(text) as { usage: { prompt_tokens_details: { cached_tokens: number } } }).usage.prompt_tokens_details
    .cached_tokens;

describe.each([["Envoy"], ["the built-in proxy"]])("two prefill and two decode servers behind %s", (front) => {
  const stack = new PdStack();
  let base = "";
  const prefills: PdServer[] = [];
  const decodes: PdServer[] = [];
  beforeAll(async () => {
    prefills.push(await stack.startPrefill("prefill-1"), await stack.startPrefill("prefill-2"));
    decodes.push(await stack.startDecode("decode-1"), await stack.startDecode("decode-2"));
    stack.writePdEndpoints();
    await stack.startEpp({ config: pdConfig });
    if (front === "Envoy") {
      await stack.startEnvoy([], false);
      base = stack.envoyUrl;
    } else base = `http://127.0.0.1:${stack.ports.proxy}`;
    await until("the picker answers", async () => (await post(base, path, chat("warm up"))).status === 200);
  });
  afterAll(() => stack.stop());

  const prefillsSeen = async (): Promise<number> => {
    const counts = await Promise.all(prefills.map(({ port }) => metricOn(port, "vllm:prompt_tokens_total")));
    return counts.reduce((sum, count) => sum + count, 0);
  };

  test("a short prompt is decoded where it is", async () => {
    const answer = await post(base, path, chat("short"));
    expect([answer.status, way(answer)]).toEqual([200, "decode"]);
    expect(answer.server).toMatch(/^decode-/);
  });

  test("H1: a long prompt goes through a prefill server, and explain tells which", async () => {
    const before = await prefillsSeen();
    const id = `pd-${front.length}`;
    const answer = await post(base, path, long("long"), { "x-request-id": id });
    expect([answer.status, way(answer)], answer.text).toEqual([200, "prefill-decode"]);
    expect(answer.server).toMatch(/^decode-/);
    await until("a prefill server has counted it", async () => (await prefillsSeen()) > before);
    const text = stack.explain("--request-id", id);
    expect(text).toMatch(/prefill-[12]/);
    expect(text).toMatch(/decode-[12]/);
  });

  test("a prompt that the decode server holds needs no prefill server", async () => {
    const first = await post(base, path, long("again"));
    expect(way(first)).toBe("prefill-decode");
    const second = await post(base, path, long("again"));
    expect([way(second), second.server]).toEqual(["decode", first.server]);
    expect(cachedTokens(second.text)).toBeGreaterThan(500);
  });

  test("a stream goes through a prefill server and reports its cached tokens", async () => {
    const answer = await post(base, path, {
      ...long("stream"),
      stream: true,
      stream_options: { include_usage: true },
    });
    expect([answer.status, way(answer)]).toEqual([200, "prefill-decode"]);
    const events = answer.text.split("\n\n").filter((event) => event !== "");
    expect(events.at(-1)).toBe("data: [DONE]");
    expect(events.length).toBeGreaterThan(8);
    // The prefill server had nothing of it; the decode server got all of it from there.
    expect(cachedTokens(events.at(-2)!.replace(/^data: /, ""))).toBe(0);
  });

  test("H2: control headers of a client have no effect", async () => {
    const headers = {
      "x-prefiller-host-port": "127.0.0.1:1",
      "x-encoder-hosts-ports": "127.0.0.1:1",
      "x-kv-cache-source-host-port": "127.0.0.1:1",
      "x-data-parallel-host-port": "127.0.0.1:1",
    };
    const short = await post(base, path, chat("steer"), headers);
    expect([short.status, way(short)], short.text).toEqual([200, "decode"]);
    const answer = await post(base, path, long("steer"), headers);
    expect([answer.status, way(answer)], answer.text).toEqual([200, "prefill-decode"]);
  });

  test("H5: a prompt that is cached nowhere is refused where the client prefers so", async () => {
    const answer = await post(base, path, long("nowhere"), { prefer: "foo, If-Available;x=1" });
    expect([answer.status, answer.text]).toEqual([
      412,
      expect.stringContaining("no decode worker has the requested KV cache"),
    ]);
  });

  test("two hundred requests at once, long and short, JSON and streams, all arrive", async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => {
        const body = i % 4 < 2 ? long(`many-${i}-`) : chat(`short ${i}`);
        return post(base, path, { ...body, stream: i % 2 === 0 });
      }),
    );
    expect(answers.filter(({ status }) => status !== 200).map(({ text }) => text)).toEqual([]);
    expect(answers.filter((answer) => way(answer) === "prefill-decode")).toHaveLength(100);
    expect(answers.filter((answer) => way(answer) === "decode")).toHaveLength(100);
    answers.forEach(({ text }, i) => {
      if (i % 2 === 0) expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
      else expect(text).toContain('"usage"');
    });
    const counted = await Promise.all(
      decodes.map(({ metricsPort }) => metricOn(metricsPort!, "pd_sidecar_requests_total", 'way="prefill-decode"')),
    );
    expect(counted.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(100);
  });

  test("H4: without a prefill server in the pool the decode server does all the work", async () => {
    stack.writePdEndpoints(decodes);
    await until("long prompts are decoded alone", async () => {
      const answer = await post(base, path, long(`gone-${Math.random()}-`));
      expect(answer.status, answer.text).toBe(200);
      return way(answer) === "decode";
    });
    stack.writePdEndpoints();
    await until("prefill servers are used again", async () => {
      const answer = await post(base, path, long(`back-${Math.random()}-`));
      expect(answer.status, answer.text).toBe(200);
      return way(answer) === "prefill-decode";
    });
  });
});

describe.each([
  ["return", 502],
  ["decode-only", 200],
] as const)("prefill servers that die, with policy %s", (policy, status) => {
  const stack = new PdStack();
  beforeAll(async () => {
    await stack.startPrefill("prefill-1");
    await stack.startPrefill("prefill-2");
    for (const name of ["decode-1", "decode-2"]) await stack.startDecode(name, [`--prefill-failure-policy=${policy}`]);
    stack.writePdEndpoints();
    await stack.startEpp({ config: pdConfig });
    await stack.startEnvoy([], false);
    await until("the picker answers", async () => (await post(stack.envoyUrl, path, chat("warm up"))).status === 200);
  });
  afterAll(() => stack.stop());

  test(`requests that meet a dead one are answered with ${status}, and others with 200`, async () => {
    const answers: Answer[] = [];
    const send = async (seed: string): Promise<void> => void answers.push(await post(stack.envoyUrl, path, long(seed)));
    const all = Array.from({ length: 20 }, (_, i) => send(`before-${i}-`));
    const [first, second] = stack.pdServers;
    await first!.running.stop("SIGKILL");
    await second!.running.stop("SIGKILL");
    all.push(...Array.from({ length: 20 }, (_, i) => send(`after-${i}-`)));
    await Promise.all(all);
    const affected = answers.filter(
      (answer) => !["prefill-decode", "decode"].includes(way(answer) ?? "") || answer.status !== 200,
    );
    expect(affected.length).toBeGreaterThan(0);
    for (const answer of affected) {
      expect([answer.status, way(answer)], answer.text).toEqual([
        status,
        policy === "return" ? "prefill-decode" : "decode-fallback",
      ]);
    }
    const names = policy === "return" ? "pd_sidecar_stage_failures_total" : "pd_sidecar_fallbacks_total";
    const label = policy === "return" ? 'stage="prefill"' : 'name="decode-only"';
    const counted = await Promise.all(
      stack.pdServers.slice(2).map(({ metricsPort }) => metricOn(metricsPort!, names, label)),
    );
    expect(counted.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
    await until("the picker leaves the dead alone", async () => {
      const answer = await post(stack.envoyUrl, path, long(`later-${Math.random()}-`));
      return answer.status === 200 && way(answer) === "decode";
    });
  });
});

describe("a picker with encode servers", () => {
  const stack = new PdStack();
  const seen: IncomingHttpHeaders[] = [];
  const listeners = Array.from({ length: 3 }, () =>
    createServer((req, res) => {
      if (req.method === "POST") seen.push(req.headers);
      req.resume().on("end", () => res.writeHead(200, { "content-type": "application/json" }).end("{}"));
    }),
  );
  const portOf = (index: number): number => (listeners[index]!.address() as AddressInfo).port;
  beforeAll(async () => {
    await Promise.all(
      listeners.map((server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    );
    stack.writePdEndpoints([
      { name: "decode-1", role: "decode", port: portOf(0) },
      { name: "encode-1", role: "encode", port: portOf(1) },
      { name: "encode-2", role: "encode", port: portOf(2) },
    ]);
    await stack.startEpp({
      config: `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: file-discovery
    parameters: {path: ENDPOINTS_FILE}
  - type: encode-filter
  - type: decode-filter
  - type: always-disagg-multimodal-decider
  - type: random-picker
  - type: random-picker
    name: both-encoders
    parameters: {maxNumOfEndpoints: 2}
  - type: disagg-profile-handler
    parameters: {deciders: {encode: always-disagg-multimodal-decider}}
schedulingProfiles:
  - name: encode
    plugins: [{pluginRef: encode-filter}, {pluginRef: both-encoders}]
  - name: decode
    plugins: [{pluginRef: decode-filter}, {pluginRef: random-picker}]
dataLayer:
  discovery: {pluginRef: file-discovery}
`,
    });
    await stack.startEnvoy([], false);
  });
  afterAll(async () => {
    await stack.stop();
    for (const server of listeners) {
      server.close();
      server.closeAllConnections();
    }
  });

  test("H3: names all of them to the sidecar, for a request with an image only", async () => {
    const image = { type: "image_url", image_url: { url: "http://127.0.0.1:1/a.png" } };
    const content = [{ type: "text", text: "what is this?" }, image];
    await until(
      "the picker answers",
      async () => (await post(stack.envoyUrl, path, chat("text alone"))).status === 200,
    );
    expect(seen.at(-1)).not.toHaveProperty("x-encoder-hosts-ports");
    const answer = await post(stack.envoyUrl, path, { model, messages: [{ role: "user", content }], max_tokens: 1 });
    expect(answer.status, answer.text).toBe(200);
    const encoders = String(seen.at(-1)!["x-encoder-hosts-ports"]).split(",");
    expect(encoders.sort()).toEqual([1, 2].map((i) => `127.0.0.1:${portOf(i)}`).sort());
  });
});
