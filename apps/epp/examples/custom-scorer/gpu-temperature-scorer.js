import { customMetric, definePlugin } from "@pointsman/core";
import { z } from "zod";

const params = z.strictObject({
  attribute: z
    .string()
    .default("GPUTemperature")
    .describe("Name under which the metrics extractor stores the temperature."),
  coolCelsius: z.number().default(40).describe("At or below this the score is 1."),
  hotCelsius: z.number().default(85).describe("At or above this the score is 0."),
});

export default definePlugin({
  type: "@acme/gpu-temperature-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "1 = cool GPU, 0 = hot GPU.",
  params,
  consumes: ({ attribute }) => ({ required: [customMetric(attribute)] }),
  create({ attribute, coolCelsius, hotCelsius }, host) {
    const temperature = host.endpointReader(customMetric(attribute));
    return {
      score(request, endpoints, out) {
        for (let i = 0; i < endpoints.length; i++) {
          const celsius = temperature.fresh(endpoints[i], request.nowMs);
          // Not known is not cool.
          if (celsius === undefined) out[i] = 0;
          else out[i] = Math.min(1, Math.max(0, (hotCelsius - celsius) / (hotCelsius - coolCelsius)));
        }
      },
    };
  },
});
