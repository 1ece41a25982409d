import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { type ExampleResponseProcessorParams, exampleResponseProcessorParams } from "./params.ts";

export const exampleResponseProcessor: AnyPluginDefinition = definePlugin<ExampleResponseProcessorParams>({
  type: "example-response-processor",
  kind: "response-processor",
  stability: "beta",
  summary: "Tells the client in a header which endpoint was picked.",
  params: exampleResponseProcessorParams,
  create: ({ headerName }) => ({
    responseHeaders(_request, { primaryProfile, profiles }, event) {
      const target = profiles.get(primaryProfile)?.targets[0];
      if (target !== undefined) event.setHeaders.set(headerName, target.metadata.name);
    },
  }),
});
