/** Spec ext-proc section 2: every name on the wire. */
import type { InferenceRequest, PluginInstance } from "@pointsman/core";
import { describe, expect, test } from "vitest";
import { type Pairs, request, setTo } from "./support/messages.ts";
import { onBothTransports } from "./support/picker.ts";

/** Shows upstream what the picker made of the request. */
const mirror: PluginInstance = {
  preRequest({ priority, fairnessId, targetModel, upstreamHeaders }: InferenceRequest) {
    upstreamHeaders.set("x-seen", JSON.stringify({ priority, fairnessId, targetModel }));
    return undefined;
  },
};

/** Sets every header that plugins send upstream. */
const disaggregating: PluginInstance = {
  preRequest({ upstreamHeaders }: InferenceRequest) {
    for (const name of upstreamNames) upstreamHeaders.set(name, "10.0.0.9:8000");
    return undefined;
  },
};

const upstreamNames = [
  "x-prefiller-host-port",
  "x-encoder-hosts-ports",
  "x-data-parallel-host-port",
  "x-kv-cache-source-host-port",
];

/** Section 2.3, and the headers that the picker sets for the sidecar. */
const ownedNames = [
  "x-llm-d-inference-fairness-id",
  "x-gateway-inference-fairness-id",
  "x-llm-d-inference-objective",
  "x-gateway-inference-objective",
  "x-llm-d-model-name-rewrite",
  "x-gateway-model-name-rewrite",
  "x-llm-d-slo-ttft-ms",
  "x-slo-ttft-ms",
  "x-llm-d-slo-tpot-ms",
  "x-slo-tpot-ms",
  "x-llm-d-video-fps",
  "x-llm-d-video-duration-seconds",
  "x-llm-d-video-resolution",
  "x-gateway-destination-endpoint-subset",
  "x-gateway-destination-endpoint-served",
  "x-llm-d-request-dropped-reason",
  ...upstreamNames,
];

onBothTransports("2 names on the wire", (start, shared) => {
  const objectives = { priorityOf: (name: string) => ({ gold: 4, bulk: -1 })[name] };
  const picker = shared({ plugins: { mirror }, objectives });

  async function seen(headers: Pairs): Promise<{ priority: number; fairnessId: string; targetModel: string }> {
    const [reply] = await picker().request({ headers, body: '{"model":"m","prompt":"a"}' }).until(1);
    return JSON.parse(setTo(reply, "x-seen")!) as { priority: number; fairnessId: string; targetModel: string };
  }

  describe("2.2 request headers", () => {
    test.each([
      ["x-llm-d-inference-objective", { "x-llm-d-inference-objective": "gold" }, { priority: 4 }],
      ["its alias", { "x-gateway-inference-objective": "bulk" }, { priority: -1 }],
      [
        "both, where the current name wins",
        { "x-gateway-inference-objective": "bulk", "x-llm-d-inference-objective": "gold" },
        { priority: 4 },
      ],
      [
        "both, where the current name wins even if empty",
        { "x-gateway-inference-objective": "bulk", "x-llm-d-inference-objective": "" },
        { priority: 0 },
      ],
      ["an unknown objective", { "x-llm-d-inference-objective": "none" }, { priority: 0 }],
      ["no objective", {}, { priority: 0 }],
      ["x-llm-d-inference-fairness-id", { "x-llm-d-inference-fairness-id": "tenant" }, { fairnessId: "tenant" }],
      ["its alias", { "x-gateway-inference-fairness-id": "tenant" }, { fairnessId: "tenant" }],
      [
        "a fairness id in UTF-8",
        { "x-llm-d-inference-fairness-id": Buffer.from("zürich").toString("latin1") },
        { fairnessId: "zürich" },
      ],
      ["no fairness id", {}, { fairnessId: "default-flow" }],
      ["an empty fairness id", { "x-llm-d-inference-fairness-id": "" }, { fairnessId: "default-flow" }],
      ["x-llm-d-model-name-rewrite", { "x-llm-d-model-name-rewrite": "tuned" }, { targetModel: "tuned" }],
      ["its alias", { "x-gateway-model-name-rewrite": "tuned" }, { targetModel: "tuned" }],
      [
        "both, where the current name wins even if empty",
        { "x-gateway-model-name-rewrite": "tuned", "x-llm-d-model-name-rewrite": "" },
        { targetModel: "m" },
      ],
      ["capitals", { "X-LLM-D-Inference-Fairness-ID": "tenant" }, { fairnessId: "tenant" }],
    ] as readonly (readonly [string, Record<string, string>, object])[])(
      "2.2-1 %s: %j",
      async (_name, headers, expected) => {
        expect(await seen(headers)).toMatchObject(expected);
      },
    );

    test("2.2-1 without a fairness id the agent's identity is the flow", async () => {
      const config = `
plugins:
  - {type: agent-identity}
  - {type: queue-scorer}
  - {type: openai-parser}
  - {type: mirror}
requestHandler: {parsers: [{pluginRef: openai-parser}]}
schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}]}]
`;
      const agents = await start({ config, plugins: { mirror } });
      const [reply] = await agents.request({ headers: { "x-claude-code-session-id": "s1" } }).until(1);
      expect(JSON.parse(setTo(reply, "x-seen")!)).toMatchObject({ fairnessId: "s1" });
    });

    test.each([
      [":path", { ":path": "/v1/nothing" }, "/v1/nothing"],
      [":path before its stand-ins", { ":path": "/v1/nothing", "x-original-path": "/v1/completions" }, "/v1/nothing"],
      ["x-original-path", { "x-original-path": "/v1/original" }, "/v1/original"],
      [
        "x-original-path before x-forwarded-path",
        { "x-original-path": "/v1/original", "x-forwarded-path": "/v1/forwarded" },
        "/v1/original",
      ],
      ["x-forwarded-path", { "x-forwarded-path": "/v1/forwarded" }, "/v1/forwarded"],
      ["a query, which is cut", { ":path": "/v1/nothing?a=/v1/completions" }, "/v1/nothing"],
    ] as readonly (readonly [string, Record<string, string>, string])[])(
      "2.2-2 the path is %s",
      async (_name, headers, path) => {
        const [reply] = await picker().request({ headers }).all();
        expect(reply!.body).toBe(
          `inference error: BadRequest - no parser registered matching path suffix for: ${path}`,
        );
      },
    );

    test("2.2-2 without any path it is /v1/completions", async () => {
      await picker().request({ headers: {} }).until(2);
    });

    test("2.2-3 a value in `value` instead of `raw_value` is read", async () => {
      const headers = [{ key: "x-llm-d-model-name-rewrite", value: "tuned" }];
      const stream = picker().stream(
        { request: { case: "requestHeaders", value: { headers: { headers } } } },
        request.body('{"model":"m","prompt":"a"}'),
      );
      expect((await stream.until(2))[1]!.body).toBe('{"model":"tuned","prompt":"a"}');
    });
  });

  describe("2.3 what a client may not say", () => {
    test.each(ownedNames)("2.3-1 %s of a client is removed", async (name) => {
      const [reply] = await picker()
        .request({ headers: { [name]: "6.6.6.6:1", other: "stays" } })
        .until(1);
      expect(reply!.remove).toEqual([name]);
      expect(setTo(reply, name)).toBeUndefined();
    });

    test("2.3-1 in capitals and repeated, it is removed once", async () => {
      const headers: Pairs = [
        ["X-Prefiller-Host-Port", "6.6.6.6:1"],
        ["x-prefiller-host-port", "6.6.6.6:2"],
      ];
      const [reply] = await picker().request({ headers }).until(1);
      expect(reply!.remove).toEqual(["x-prefiller-host-port"]);
    });

    test("2.3-1 also from a request without a body", async () => {
      const headers = Object.fromEntries(ownedNames.map((name) => [name, "6.6.6.6:1"]));
      const [reply] = await picker().stream(request.headers(headers, true)).until(1);
      expect([...reply!.remove!].sort()).toEqual([...ownedNames].sort());
    });

    test("2.3-2 the destination of a client is replaced by ours", async () => {
      const headers = { "x-gateway-destination-endpoint": "6.6.6.6:1" };
      const [reply] = await picker().request({ headers }).until(1);
      expect(setTo(reply, "x-gateway-destination-endpoint")).toBe("192.168.1.1:8000");
      expect(reply!.remove).toEqual([]);
    });

    test("2.3-3 headers that plugins set upstream replace those of a client", async () => {
      const splitting = await start({ plugins: { disaggregating } });
      const headers = Object.fromEntries(upstreamNames.map((name) => [name, "6.6.6.6:1"]));
      const [reply] = await splitting.request({ headers }).until(1);
      expect(upstreamNames.map((name) => setTo(reply, name))).toEqual(upstreamNames.map(() => "10.0.0.9:8000"));
      expect(reply!.remove).toEqual([]);
    });
  });
});
