import { connect } from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Answer, post, Stack, until } from "./stack.ts";

const model = "Qwen/Qwen3-8B";
const longText = (seed: string, words: number): string =>
  Array.from({ length: words }, (_, i) => `${seed}${i}`).join(" ");
const chat = (prefix: string, question: string, extra: Record<string, unknown> = {}) => ({
  model,
  max_tokens: 8,
  messages: [
    { role: "system", content: prefix },
    { role: "user", content: question },
  ],
  ...extra,
});

describe.each([
  ["Envoy", false],
  // As gateways run it, with bodies of answers that go through the picker.
  ["Envoy over TLS, in full duplex", true],
  ["Envoy over a Unix socket", false],
  ["the built-in proxy", false],
])("behind %s", (front, tls) => {
  const stack = new Stack();
  let base = "";
  beforeAll(async () => {
    // Small servers: a few requests at once fill them.
    await stack.startServers(3, ["--max-num-seqs", "8", "--kv-blocks", "150"]);
    const atSocket = front === "Envoy over a Unix socket";
    await stack.startEpp({ tls, flags: atSocket ? [`--ext-proc-socket=${stack.directory}/ext-proc.sock`] : [] });
    if (front === "the built-in proxy") base = `http://127.0.0.1:${stack.ports.proxy}`;
    else {
      const fullDuplex = (bootstrap: string): string =>
        bootstrap.replace("response_body_mode: STREAMED", "response_body_mode: FULL_DUPLEX_STREAMED");
      await stack.startEnvoy([], tls, front === "Envoy over TLS, in full duplex" ? fullDuplex : undefined);
      base = stack.envoyUrl;
    }
  });
  afterAll(() => stack.stop());

  test("a chat and a completion are answered, as JSON", async () => {
    const answer = await post(base, "/v1/chat/completions", chat("short", "hello"));
    expect(answer.status, answer.text).toBe(200);
    expect(answer.headers.get("x-went-into-resp-headers")).toBe("true");
    expect((JSON.parse(answer.text) as { usage: { completion_tokens: number } }).usage.completion_tokens).toBe(8);
    const completion = await post(base, "/v1/completions", { model, prompt: "hello", max_tokens: 4 });
    expect(completion.status, completion.text).toBe(200);
    expect((JSON.parse(completion.text) as { choices: unknown[] }).choices).toHaveLength(1);
  });

  test("a chat and a completion are answered, as streams that end with [DONE]", async () => {
    for (const [path, body] of [
      ["/v1/chat/completions", chat("short", "hello", { stream: true, stream_options: { include_usage: true } })],
      ["/v1/completions", { model, prompt: "hello", max_tokens: 4, stream: true }],
    ] as const) {
      const answer = await post(base, path, body);
      expect(answer.status, answer.text).toBe(200);
      expect(answer.headers.get("content-type")).toContain("text/event-stream");
      const events = answer.text.split("\n\n").filter((event) => event !== "");
      expect(events.length).toBeGreaterThan(4);
      expect(events.at(-1)).toBe("data: [DONE]");
    }
  });

  test("the same long prefix goes to the same server", async () => {
    const prefix = longText("rule ", 600);
    const first = await post(base, "/v1/chat/completions", chat(prefix, "question 0"));
    expect(first.server).toBeDefined();
    const servers = new Set<string | undefined>();
    for (let i = 1; i <= 8; i++) {
      const answer = await post(base, "/v1/chat/completions", chat(prefix, `question ${i}`));
      servers.add(answer.server);
      const usage = (JSON.parse(answer.text) as { usage: { prompt_tokens_details: { cached_tokens: number } } }).usage;
      expect(usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(500);
    }
    expect([...servers]).toEqual([first.server]);
  });

  test("until load outweighs it: with many at once the prefix spreads over servers", async () => {
    const prefix = longText("hot ", 400);
    await post(base, "/v1/chat/completions", chat(prefix, "warm"));
    const answers: Answer[] = [];
    // Waves, so that each sees the queue that the one before built up.
    const all: Promise<unknown>[] = [];
    for (let wave = 0; wave < 10; wave++) {
      for (let i = 0; i < 12; i++) {
        all.push(
          post(base, "/v1/chat/completions", chat(prefix, `${wave}/${i}`, { max_tokens: 60 })).then((answer) =>
            answers.push(answer),
          ),
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    await Promise.all(all);
    expect(answers.every((answer) => answer.status === 200)).toBe(true);
    expect(new Set(answers.map((answer) => answer.server)).size).toBeGreaterThan(1);
  });

  test.each([
    [
      "/v1/chat/completions",
      "no healthy upstream",
      "inference error: BadRequest - error unmarshaling request bodyMap: invalid character 'o' in literal null (expecting 'u')",
    ],
    [
      "/v1/chat/completions",
      `{"model": "${model}"}`,
      "inference error: BadRequest - invalid chat completions request: must have valid messages field",
    ],
  ])("%s with %s is a 400 that says why", async (path, body, text) => {
    const answer = await post(base, path, body);
    expect(answer.status).toBe(400);
    expect(answer.text).toBe(text);
  });

  test("a path that no parser claims passes to a model server, which knows no such path", async () => {
    const answer = await post(base, "/v1/nothing", "any bytes");
    expect(answer.status, answer.text).toBe(404);
    expect(answer.headers.get("x-went-into-resp-headers")).toBe("true");
    expect(answer.server).toBeDefined();
  });

  if (front !== "the built-in proxy") {
    // Which speaks HTTP/1.1.
    test("headers and trailers without a body pass to a model server", async () => {
      const session = connect(base);
      const request = session.request({ ":method": "POST", ":path": "/v1/nothing" }, { waitForTrailers: true });
      request.on("wantTrailers", () => request.sendTrailers({ "x-checksum": "1" })).end();
      const status = await new Promise((resolve, reject) => {
        request.on("response", (headers) => resolve(headers[":status"])).on("error", reject);
      });
      session.destroy();
      expect(status).toBe(404);
    });
  }

  test("control headers of a client change nothing", async () => {
    const answer = await post(base, "/v1/chat/completions", chat("short", "steer"), {
      "x-gateway-destination-endpoint": "127.0.0.1:1",
      "x-prefiller-host-port": "127.0.0.1:1",
    });
    expect(answer.status, answer.text).toBe(200);
  });

  test("explain tells why a request went where it went", async () => {
    const id = `explain-${front.replaceAll(" ", "-")}`;
    const answer = await post(base, "/v1/chat/completions", chat(longText("explain ", 300), "why"), {
      "x-request-id": id,
    });
    const text = stack.explain("--request-id", id);
    expect(text).toContain(`request ${id}`);
    expect(text).toContain("prefix-cache-scorer x3");
    expect(text).toContain(`max-score-picker -> default/${answer.server}`);
    expect(text).toMatch(/WaitingQueueSize=\d+ \(\d+ ms\)/);
    const json = JSON.parse(stack.explain("--request-id", id, "--json")) as { decisions: { requestId: string }[] };
    expect(json.decisions.map((decision) => decision.requestId)).toEqual([id]);
  });

  test("a model list comes from some server", async () => {
    const response = await fetch(`${base}/v1/models`);
    expect(response.status).toBe(200);
    expect(((await response.json()) as { data: { id: string }[] }).data[0]!.id).toBe(model);
  });

  test("a server that was killed and taken out of the file gets no request, and others answer all", async () => {
    const [gone, ...rest] = stack.servers;
    stack.writeEndpoints(rest);
    await until(
      "the removed endpoint is gone from the pool",
      async () => !(await stack.metrics()).includes('llm_d_epp_known_endpoints{name="epp"} 3'),
    );
    await gone!.running.stop("SIGKILL");
    for (let i = 0; i < 30; i++) {
      const answer = await post(base, "/v1/chat/completions", chat(`after ${i}`, "x"));
      expect(answer.status, answer.text).toBe(200);
      expect(answer.server).not.toBe(gone!.name);
    }
  });

  test("a server that dies while it is in the file is avoided within a second", async () => {
    const victim = stack.servers[1]!;
    await victim.running.stop("SIGKILL");
    await until("its death is in the log", () =>
      stack.epp.lines.some((line) => line.includes(victim.name) && line.includes('"level":"warn"')),
    );
    await new Promise((resolve) => setTimeout(resolve, 1000));
    for (let i = 0; i < 30; i++) {
      const answer = await post(base, "/v1/chat/completions", chat(`dead ${i}`, "x"));
      expect(answer.status, answer.text).toBe(200);
      expect(answer.server).toBe(stack.servers[2]!.name);
    }
    const named = stack.epp.lines.filter((line) => line.includes(victim.name) && line.includes('"level":"warn"'));
    expect(named).toHaveLength(1);
  });

  test("SIGTERM lets an open stream finish, then the process ends with code 0", async () => {
    const response = await fetch(`${base}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(chat("drain", "x", { stream: true, max_tokens: 150 })),
    });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = (await reader.read()).value ?? "";
    stack.epp.signal("SIGTERM");
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
    }
    expect(text).toContain("data: [DONE]");
    expect(await stack.epp.exited).toBe(0);
  });
});

describe("without the picker", () => {
  const stack = new Stack();
  beforeAll(() => stack.startServers(2));
  afterAll(() => stack.stop());

  test.each([
    ["close", [], 500],
    ["open", ["--failure-mode=open"], 200],
  ])("Envoy follows failure mode %s", async (_mode, flags, status) => {
    await stack.startEpp();
    await stack.startEnvoy([...flags, ...(flags.length === 0 ? [] : ["--endpoints-file", stack.endpointsFile])]);
    expect((await post(stack.envoyUrl, "/v1/completions", { model, prompt: "a", max_tokens: 1 })).status).toBe(200);
    await stack.epp.stop("SIGKILL");
    // Until Envoy notices, a request whose body it has sent cannot pass.
    let streak = 0;
    await until(`requests get ${status}`, async () => {
      const answer = await post(stack.envoyUrl, "/v1/completions", { model, prompt: "a", max_tokens: 1 });
      streak = answer.status === status ? streak + 1 : 0;
      return streak === 10;
    });
    await stack.envoy!.stop();
  });
});
