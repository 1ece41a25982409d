/** Spec ext-proc section 9 on the wire: objectives and model rewrites, as whoever knows them tells the picker. */
import type { ModelRewrites, Objectives } from "@pointsman/core";
import { describe, expect, test } from "vitest";
import { completion, type Pairs, request, response } from "./support/messages.ts";
import { onBothTransports } from "./support/picker.ts";

const objectives: Objectives = {
  priorityOf: (name) =>
    new Map([
      ["sql-lora", 2],
      ["my-model", 2],
      ["inference-objective-with-priority-4", 4],
    ]).get(name),
};
const rewrites: ModelRewrites = {
  choose(model) {
    if (model === "model-to-be-rewritten") return { rewrite: "rule", targetModel: "rewritten-model" };
    if (model === "to-nothing") return { rewrite: "empty", targetModel: "" };
    if (model === "") return { rewrite: "generic", targetModel: "default-model" };
    return undefined;
  },
};
const rewriteHeader = "x-llm-d-model-name-rewrite";

onBothTransports("9 objectives and rewrites", (_start, shared) => {
  const picker = shared({ objectives, rewrites });

  test.each([
    ["sql-lora", "2"],
    ["inference-objective-with-priority-4", "4"],
    ["unknown", "0"],
  ])("9.1-1 the objective %s has priority %s", async (objective, priority) => {
    const body = completion("a", `model-of-${objective}`);
    await picker()
      .request({ headers: { "x-llm-d-inference-objective": objective }, body })
      .until(2);
    expect(await picker().metric("llm_d_epp_request_total", { model_name: `model-of-${objective}`, priority })).toBe(1);
  });

  describe("9.2 the model sent on", () => {
    const cases: readonly (readonly [string, Pairs, string, string])[] = [
      ["the body's, where nothing changes it", {}, '{ "model":"m","prompt":"a" }', '{ "model":"m","prompt":"a" }'],
      [
        "the header's",
        { [rewriteHeader]: "tuned" },
        '{ "model":"m","prompt":"a" }',
        '{ "model":"tuned","prompt":"a" }',
      ],
      ["the rule's", {}, '{"model":"model-to-be-rewritten","prompt":"a"}', '{"model":"rewritten-model","prompt":"a"}'],
      [
        "the rule's, which beats the header",
        { [rewriteHeader]: "tuned" },
        '{"model":"model-to-be-rewritten","prompt":"a"}',
        '{"model":"rewritten-model","prompt":"a"}',
      ],
      ["added where the body has none", {}, '{"prompt":"a"}', '{"prompt":"a","model":"default-model"}'],
      [
        "the same name, bytes untouched",
        { [rewriteHeader]: "m" },
        '{ "model" : "m","prompt":"a"}',
        '{ "model" : "m","prompt":"a"}',
      ],
    ];
    test.each(cases)("9.2-1 %s", async (_name, headers, body, sent) => {
      const [, reply] = await picker().request({ headers, body }).until(2);
      const text = reply!.body!;
      if (body === sent) expect(text).toBe(sent);
      else expect(JSON.parse(text)).toEqual(JSON.parse(sent));
    });

    test("9.2-2 an empty target is a 400", async () => {
      const [reply] = await picker()
        .request({ body: completion("a", "to-nothing") })
        .all();
      expect(reply).toMatchObject({
        status: 400,
        body: "inference error: BadRequest - model not found in request body",
      });
    });

    test("9.2-3 labels tell both names, and the answer the client's", async () => {
      const stream = picker().stream(request.headers({}), request.body(completion("a", "model-to-be-rewritten")));
      stream.send(response.headers({ ":status": "200", "content-type": "application/json" }));
      stream.send(response.body('{"model":"rewritten-model"}', true));
      expect((await stream.until(4))[3]!.body).toBe('{"model":"model-to-be-rewritten"}');
      const labels = { model_name: "model-to-be-rewritten", target_model_name: "rewritten-model" };
      expect(await picker().metric("llm_d_epp_request_total", labels)).toBeGreaterThan(0);
    });
  });
});
