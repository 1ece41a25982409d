import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { type ExampleScreenerParams, exampleScreenerParams } from "./params.ts";

export const exampleScreener: AnyPluginDefinition = definePlugin<ExampleScreenerParams>({
  type: "example-screener",
  kind: "screener",
  stability: "beta",
  summary: "Keeps the candidates in the zone that a request asks for; all of them when there is none in it.",
  params: exampleScreenerParams,
  create: ({ headerName, labelKey }) => ({
    screen(request, endpoints) {
      const zone = request.headers.get(headerName);
      if (zone === undefined || zone === "") return endpoints;
      const inZone = endpoints.filter(({ metadata }) => metadata.labels[labelKey] === zone);
      return inZone.length === 0 ? endpoints : inZone;
    },
  }),
});
