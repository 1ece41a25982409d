import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { type ExamplePickerParams, examplePickerParams } from "./params.ts";

export const examplePicker: AnyPluginDefinition = definePlugin<ExamplePickerParams>({
  type: "example-picker",
  kind: "picker",
  stability: "beta",
  summary: "Picks the best of a few endpoints drawn at random.",
  params: examplePickerParams,
  create({ draws }, host) {
    return {
      pick(_request, endpoints, totals) {
        let best = Math.floor(host.random() * endpoints.length);
        for (let i = 1; i < draws; i++) {
          const drawn = Math.floor(host.random() * endpoints.length);
          // Of equals the first drawn stays, so that none is preferred for its place.
          if (totals[drawn]! > totals[best]!) best = drawn;
        }
        return [endpoints[best]!];
      },
    };
  },
});
