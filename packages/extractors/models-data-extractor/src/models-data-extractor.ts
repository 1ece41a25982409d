import { type AnyPluginDefinition, definePlugin, SERVED_MODELS } from "@pointsman/core";
import { readModels } from "./read-models.ts";

export const modelsDataExtractor: AnyPluginDefinition = definePlugin({
  type: "models-data-extractor",
  kind: "extractor",
  stability: "beta",
  summary: "Reads which models a model server serves.",
  produces: (_params, name) => [SERVED_MODELS.from(name)],
  create(_params, host) {
    const writer = host.endpointWriter(SERVED_MODELS.from(host.name));
    return {
      payload: "openai-models",
      extract(body, endpoint, nowMs) {
        const { models, problem } = readModels(body);
        // A list that cannot be read says nothing of what is served: the last one grows stale.
        if (models !== undefined) writer.set(endpoint, models, nowMs);
        return problem;
      },
    };
  },
});
