import { expect, test } from "vitest";
import { aliasedHeaders, controlHeaders } from "./wire-names.ts";

test("every steering header and its deprecated alias is a control header, in lower case", () => {
  for (const name of Object.values(aliasedHeaders).flat()) expect(controlHeaders).toContain(name);
  for (const name of controlHeaders) expect(name).toBe(name.toLowerCase());
});

test.each([
  "x-gateway-destination-endpoint",
  "x-gateway-destination-endpoint-subset",
  "x-gateway-destination-endpoint-served",
  "x-llm-d-request-dropped-reason",
  "x-prefiller-host-port",
  "x-encoder-hosts-ports",
  "x-data-parallel-host-port",
  "x-kv-cache-source-host-port",
  "x-llm-d-video-fps",
])("%s is a control header", (name) => {
  expect(controlHeaders.has(name)).toBe(true);
});

test.each(["x-request-id", "authorization", "content-length", "traceparent"])("%s passes through", (name) => {
  expect(controlHeaders.has(name)).toBe(false);
});
