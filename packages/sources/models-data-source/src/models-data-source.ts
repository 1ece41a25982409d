import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { httpSource } from "@pointsman/metrics-data-source";
import { type ModelsDataSourceParams, modelsDataSourceParams } from "./params.ts";

/** A list of a thousand adapters with their permissions stays below. */
const maxBodyBytes = 1024 * 1024;
const openBrace = 0x7b;

export const modelsDataSource: AnyPluginDefinition = definePlugin<ModelsDataSourceParams>({
  type: "models-data-source",
  kind: "source",
  stability: "beta",
  summary: "Polls the list of models that each model server serves.",
  params: modelsDataSourceParams,
  create: (params, host) => httpSource(params, { payload: "openai-models", maxBodyBytes, checkPayload }, host),
});

/** Extractors read the whole; here only what is no JSON object at all is refused. */
function checkPayload(body: Uint8Array): string | undefined {
  const first = body.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d);
  return first === openBrace ? undefined : "the answer is no JSON object, so it is no list of models";
}
