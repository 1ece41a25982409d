import type { MultiModalFeature } from "../attributes/tokenized-prompt.ts";
import { get, type JsonValue, stringValue } from "../json/index.ts";
import type { ParsedRequest, PromptSegment } from "../plugin/parser.ts";
import type { Prompt } from "./prompt.ts";
import { replaceModel } from "./replace-model.ts";

/** A request whose body is a JSON object with top-level `model` and `stream`. It refers to the body's bytes. */
export class JsonRequest implements ParsedRequest {
  readonly model: string | undefined;
  readonly stream: boolean;
  readonly maxOutputTokens: number | undefined;
  readonly cacheSalt: string | undefined;
  readonly #root: JsonValue;
  readonly #prompt: Prompt;

  constructor(
    root: JsonValue,
    found: {
      readonly maxOutputTokens: number | undefined;
      readonly cacheSalt: JsonValue | undefined;
      readonly prompt: Prompt;
    },
  ) {
    this.model = stringValue(get(root, "model"));
    this.stream = get(root, "stream")?.kind === "true";
    this.maxOutputTokens = found.maxOutputTokens;
    this.cacheSalt = stringValue(found.cacheSalt) || undefined;
    this.#root = root;
    this.#prompt = found.prompt;
  }

  promptSegments(): readonly (readonly PromptSegment[])[] {
    return this.#prompt.segments();
  }

  promptTokenIds(): readonly Uint32Array[] | undefined {
    return this.#prompt.tokenIds;
  }

  promptFeatures(): readonly (readonly MultiModalFeature[])[] {
    return this.#prompt.features?.() ?? [];
  }

  rewriteModel(model: string): readonly Uint8Array[] {
    return replaceModel(this.#root, model);
  }
}
