import type { ServedModels } from "./generation-request.ts";

/** The reply of /v1/models: the base model, then the adapters with the base model as parent. */
export function modelList(served: ServedModels, createdUnixSeconds: number): object {
  const card = (id: string, parent: string | null) => ({
    id,
    object: "model",
    created: createdUnixSeconds,
    owned_by: "vllm",
    root: id,
    parent,
    max_model_len: parent === null ? served.maxModelTokens : null,
  });
  return {
    object: "list",
    data: [card(served.model, null), ...served.loraAdapters.map((adapter) => card(adapter, served.model))],
  };
}
