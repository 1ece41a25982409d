import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { post, Stack } from "./stack.ts";

const model = "Qwen/Qwen3-8B";
/** The client's name is longer than the model's own, and shorter. */
const names = ["m", "a-public-name-of-the-model"];
const asks = { max_tokens: 8, messages: [{ role: "user", content: "hello" }] };
const path = "/v1/chat/completions";

interface Modes {
  readonly request?: string;
  readonly response?: string;
}

const inModes =
  ({ request = "FULL_DUPLEX_STREAMED", response = "STREAMED" }: Modes) =>
  (bootstrap: string): string =>
    bootstrap
      .replace(/request_body_mode: .*/, `request_body_mode: ${request}`)
      .replace(/response_body_mode: .*/, `response_body_mode: ${response}`);

describe("Envoy's modes for bodies", () => {
  const stack = new Stack();
  beforeAll(async () => {
    await stack.startServers(1);
    await stack.startEpp();
  });
  afterAll(() => stack.stop());

  test.each(["STREAMED", "FULL_DUPLEX_STREAMED", "BUFFERED", "BUFFERED_PARTIAL"])(
    "with answers in %s mode the model keeps the client's name, and usage is counted",
    async (response) => {
      await stack.startEnvoy([], false, inModes({ response }));
      try {
        const before = await outputTokens();
        for (const name of names) {
          const headers = { "x-llm-d-model-name-rewrite": model };
          const json = await post(stack.envoyUrl, path, { ...asks, model: name }, headers);
          expect(json.status, json.text).toBe(200);
          expect((JSON.parse(json.text) as { model: string }).model).toBe(name);
          const more = { stream: true, stream_options: { include_usage: true } };
          const events = await post(stack.envoyUrl, path, { ...asks, ...more, model: name }, headers);
          expect(events.status, events.text).toBe(200);
          expect(events.text).toContain("data: [DONE]");
          const data = events.text.match(/^data: \{.*/gm) ?? [];
          expect(data.length).toBeGreaterThan(4);
          for (const line of data) expect((JSON.parse(line.slice(6)) as { model: string }).model).toBe(name);
        }
        await expect.poll(outputTokens).toBe(before + names.length * 2 * asks.max_tokens);
      } finally {
        await stack.envoy!.stop();
      }
    },
  );

  test.each(["NONE", "BUFFERED", "STREAMED"])("requests in %s mode are told what to set", async (request) => {
    await stack.startEnvoy([], false, inModes({ request }));
    try {
      const answer = await post(stack.envoyUrl, path, { ...asks, model });
      expect(answer.status).toBe(500);
      expect(answer.text).toContain(`request_body_mode ${request}`);
      expect(answer.text).toContain("set it to FULL_DUPLEX_STREAMED");
      // What has no body needs none.
      expect((await fetch(`${stack.envoyUrl}/v1/models`)).status).toBe(200);
    } finally {
      await stack.envoy!.stop();
    }
  });

  async function outputTokens(): Promise<number> {
    const line = /^llm_d_epp_request_output_tokens_sum\{.*\} (.*)$/gm;
    return [...(await stack.metrics()).matchAll(line)].reduce((sum, [, value]) => sum + Number(value), 0);
  }
});
