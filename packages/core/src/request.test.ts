import { expect, test } from "vitest";
import { buildBody, buildRequest } from "../test/testkit.ts";
import { Headers } from "./headers.ts";
import { InferenceRequest } from "./request.ts";

test("a request starts from its body: incoming model as target, priority 0, the default flow", () => {
  const request = new InferenceRequest({
    id: "7",
    headers: new Headers(),
    body: buildBody({ model: "base" }),
    bodyBytes: 12,
    receivedAtMs: 34,
  });
  expect(request).toMatchObject({
    id: "7",
    bodyBytes: 12,
    incomingModel: "base",
    targetModel: "base",
    priority: 0,
    fairnessId: "default-flow",
    nowMs: 34,
    proxyMetadata: {},
  });
  expect(request.upstreamHeaders.size).toBe(0);
});

test("a body without a model leaves both model names empty", () => {
  expect(buildRequest({ body: { model: undefined } })).toMatchObject({ incomingModel: "", targetModel: "" });
});

test("a signal asked for before the abort fires, one asked for afterwards is aborted already", () => {
  const request = buildRequest();
  expect(request.aborted).toBe(false);
  const early = request.signal;
  let fired = 0;
  early.addEventListener("abort", () => fired++);
  expect(early.aborted).toBe(false);
  request.abort();
  expect([fired, early.aborted, request.aborted]).toEqual([1, true, true]);
  expect(request.signal).toBe(early);

  const late = buildRequest();
  late.abort();
  expect(late.signal.aborted).toBe(true);
});

test("lateness is kept per producer", () => {
  const request = buildRequest();
  expect(request.isLate("slow")).toBe(false);
  request.markLate("slow");
  expect([request.isLate("slow"), request.isLate("other")]).toEqual([true, false]);
});
