import { expect, test } from "vitest";
import { Bench } from "./support/bench.ts";
import { chat, completion, prefilled, prefilledText, rendered } from "./support/bodies.ts";
import { hang } from "./support/fake-gateway.ts";

const answers = { render: rendered, prefill: prefilled, decode: completion };
const silent = { body: { id: "p" } };
const generate = "/inference/v1/generate";
const steps = (decode: string, ...before: readonly string[]): string =>
  [...before, `{type: decode, params: {kv_connector: ${decode}}}`].map((step) => `    - ${step}`).join("\n");

test("kv-nixl: after a prefill that says no place, decode is told of none and computes the prompt itself", async () => {
  const bench = await Bench.start({ pipeline: "  kv_connector: kv-nixl", answers: { ...answers, prefill: silent } });
  expect((await bench.post(chat)).status).toBe(200);
  expect(bench.gateway.only("decode").json["kv_transfer_params"]).toBeNull();
  const body = { token_ids: [1], sampling_params: { extra_args: { mine: 1 } } };
  expect((await bench.post(body, {}, generate)).status).toBe(200);
  expect(bench.gateway.of("decode")[1]!.json["sampling_params"]).toEqual({
    extra_args: { mine: 1, kv_transfer_params: null },
  });
  const labels = { connector: "kv-nixl", reason: "no-params" };
  expect(await bench.metric("pd_coordinator_kv_transfer_failures_total", labels)).toBe(2);
});

const flags = { do_remote_decode: false, do_remote_prefill: true };
const found = (JSON.parse(prefilledText) as { kv_transfer_params: Record<string, unknown> }).kv_transfer_params;
const meeting = "  sglang_bootstrap_host: p.test";

test.each([
  ["kv-shared-storage", "", "kv-nixl", flags],
  ["kv-nixl", "", "kv-shared-storage", { ...found, ...flags }],
  ["kv-sglang", "", "kv-shared-storage", { ...found, ...flags }],
  ["kv-sglang", meeting, "kv-nixl", { ...found, ...flags }],
  ["kv-nixl", "", "kv-sglang", { ...found, ...flags }],
])(
  "decode with %s %s after a prefill with %s sends what its connector makes of the answer",
  async (own, also, before, expected) => {
    const bench = await Bench.start({
      pipeline: also,
      steps: steps(own, `{type: prefill, params: {kv_connector: ${before}}}`),
      answers,
    });
    expect((await bench.post(chat)).status).toBe(200);
    expect(bench.gateway.only("decode").json["kv_transfer_params"]).toEqual(expected);
  },
);

test.each([
  ["kv-shared-storage", "", flags],
  ["kv-nixl", "", null],
  ["kv-sglang", meeting, flags],
])("decode with %s %s without prefill is told of no place", async (own, also, expected) => {
  const bench = await Bench.start({
    pipeline: also,
    steps: steps(own),
    answers: { decode: completion, prefill: hang },
  });
  expect((await bench.post(chat)).status).toBe(200);
  expect(bench.gateway.only("decode").json["kv_transfer_params"]).toEqual(expected);
});

const planted = { kv_transfer_params: { remote_host: "evil" }, ec_transfer_params: { h: { peer_host: "evil" } } };

test.each([
  ["/v1/chat/completions", chat],
  ["/v1/completions", { model: "m", prompt: [1, 2] }],
  [generate, { token_ids: [1], sampling_params: { max_tokens: 5, extra_args: { mine: 1, ...planted } } }],
  [generate, { token_ids: [1], sampling_params: null }],
])("transfer parameters of a client reach no server of %s", async (path, body) => {
  const bench = await Bench.start({
    pipeline: "  kv_connector: kv-nixl\n  ec_connector: ec-nixl",
    steps: `
    - {type: render, params: {address: RENDER}}
    - {type: conditional-decode}
    - {type: prefill}
    - {type: decode}`,
    answers: { ...answers, conditional: { status: 412 } },
  });
  const answer = await bench.post({ ...body, ...planted }, {}, path);
  expect(answer.status, answer.text).toBe(200);
  const phases = bench.gateway.seen.filter(({ phase }) => phase !== "render");
  expect(phases.map(({ phase }) => phase)).toEqual(["conditional", "prefill", "decode"]);
  for (const { text } of phases) expect(text).not.toContain("evil");
  const [conditional, , decode] = phases;
  expect(conditional!.text).not.toContain("transfer_params");
  expect(decode!.text.match(/kv_transfer_params/g)?.length).toBe(1);
  if (path === generate && JSON.stringify(body).includes("mine")) {
    expect(conditional!.json["sampling_params"]).toEqual({ max_tokens: 5, extra_args: { mine: 1 } });
  }
});
