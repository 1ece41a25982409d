import { buildPlugin } from "@pointsman/testkit";
import { expect, test } from "vitest";
import plugin from "./index.ts";

test.each<[object, RegExp]>([
  [{ engineConfigs: [{ name: "" }] }, /engineConfigs\.0\.name: must not be empty/],
  [{ engineConfigs: [{ name: "default" }] }, /engineConfigs\.0\.name: "default" is reserved/],
  [{ engineConfigs: [{ name: "a" }, { name: "a" }] }, /engineConfigs\.1\.name: engine "a" is given twice/],
  [{ defaultEngine: "llama" }, /defaultEngine: is no known engine; known are "vllm", "sglang"/],
  [
    { engineConfigs: [{ name: "a", kvUsageSpec: "a{b" }] },
    /engineConfigs\.0\.kvUsageSpec: metric spec "a\{b", column 4/,
  ],
  [{ engineConfigs: [{ name: "a", kvUsageSpec: 5 }] }, /kvUsageSpec: must be a metric such as/],
  [
    { engineConfigs: [{ name: "a", customMetrics: [{ attributeKey: "", metricSpec: "x" }] }] },
    /customMetrics\.0\.attributeKey: must not be empty/,
  ],
  [
    { engineConfigs: [{ name: "a", customMetrics: [{ attributeKey: "T", metricSpec: "" }] }] },
    /customMetrics\.0\.metricSpec: must be a metric/,
  ],
  [
    { engineConfigs: [{ name: "a", customMetrics: [{ attributeKey: "WaitingQueueSize", metricSpec: "x" }] }] },
    /attributeKey: is the name of a built-in signal/,
  ],
  [
    {
      engineConfigs: [
        {
          name: "a",
          customMetrics: [
            { attributeKey: "T", metricSpec: "x" },
            { attributeKey: "T", metricSpec: "y" },
          ],
        },
      ],
    },
    /customMetrics\.1\.attributeKey: attribute "T" is given twice/,
  ],
  [{ engineConfigs: [{ name: "a", queueSpec: "x" }] }, /queueSpec/],
  [{ engineLabelKey: "" }, /engineLabelKey: must not be empty/],
])("parameters %j are refused", (params, message) => {
  expect(() => buildPlugin(plugin, { params })).toThrow(message);
});
