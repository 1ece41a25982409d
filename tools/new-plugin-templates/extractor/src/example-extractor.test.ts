import { customMetric, hasRole } from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import exampleExtractor from "./index.ts";

pluginContract(exampleExtractor, { testFile: import.meta.url });

const { instance, host } = buildPlugin(exampleExtractor);
if (!hasRole(instance, "pollingExtractor")) throw new Error("example-extractor is no extractor");
const extractor = instance;
const reader = host.endpointReader(customMetric("GPUTemperature", host.name));

test("the largest value is written at the time of the page", () => {
  const endpoint = buildEndpoint(0);
  const page = 'gpu_temperature_celsius{gpu="0"} 61\ngpu_temperature_celsius{gpu="1"} 72.5\n';
  expect(extractor.extract(Buffer.from(page), endpoint, 5000)).toBeUndefined();
  expect(reader.get(endpoint)).toBe(72.5);
  expect(reader.ageMs(endpoint, 5100)).toBe(100);
});

test("a page without the series is reported and makes the attribute unknown", () => {
  const endpoint = buildEndpoint(0, { attributes: [[customMetric("GPUTemperature", host.name), 50]] });
  expect(extractor.extract(Buffer.from("other 1\n"), endpoint, 5000)).toContain("gpu_temperature_celsius");
  expect(reader.get(endpoint)).toBeUndefined();
});

test("no bytes make it throw", () => {
  const endpoint = buildEndpoint(0);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (body) => {
      extractor.extract(body, endpoint, 0);
    }),
  );
});
