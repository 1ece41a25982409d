import { elements, get, type JsonValue, keepValue, scanJson } from "@pointsman/core/json";
import type { ImageEntry } from "../body/image-entry.ts";
import { imageParts } from "../body/image-parts.ts";
import { type PromptTokens, promptTokens } from "../body/prompt-tokens.ts";
import { readImageEntries } from "../body/read-image-entries.ts";
import type { RenderOptions } from "../config/coordinator-options.ts";
import type { ServiceClient } from "../gateway/service-client.ts";
import { pathOf } from "../pipeline/api.ts";
import type { RequestContext } from "../pipeline/request-context.ts";
import { badRequest, failed, replyFailure, type Step, type StepOutcome } from "../pipeline/step.ts";

/** More tokens of one image are not believed: encode requests are made of them. */
const maxImageTokens = 1024 * 1024;

/** Has the prompt turned into token ids by the rendering service, once for all phases. */
export class Render implements Step {
  readonly type = "render";
  readonly #options: RenderOptions;
  /** `undefined` when no address is configured. */
  readonly #service: ServiceClient | undefined;

  constructor(options: RenderOptions, service: ServiceClient | undefined) {
    this.#options = options;
    this.#service = service;
  }

  stop(): void {
    this.#service?.stop();
  }

  async run(context: RequestContext): Promise<StepOutcome> {
    switch (context.api) {
      case "generate":
        return this.#limits(context);
      case "completions":
        return await this.#completion(context);
      case "chat":
        return await this.#chat(context);
    }
  }

  async #completion(context: RequestContext): Promise<StepOutcome> {
    const prompt = get(context.root, "prompt");
    if (prompt?.kind === "array") {
      const first = elements(prompt);
      if (first.next() && first.kind !== "number") {
        return badRequest(this.type, `a prompt that is a list of ${first.kind}s is not served; send one prompt`);
      }
      const tokens = promptTokens(prompt);
      if (tokens === undefined) return badRequest(this.type, "prompt holds what is no token id");
      context.tokens = tokens;
      return this.#limits(context);
    }
    if (prompt?.kind !== "string") return badRequest(this.type, "prompt must be a text or a list of token ids");
    const root = await this.#ask(context);
    if (!("document" in root)) return root;
    const rendered = elements(root);
    const only = rendered.next() ? keepValue(rendered) : undefined;
    if (only === undefined || rendered.next()) return unexpected("is not a list of one prompt");
    return this.#take(context, promptTokens(get(only, "token_ids")), []);
  }

  async #chat(context: RequestContext): Promise<StepOutcome> {
    const root = await this.#ask(context);
    if (!("document" in root)) return root;
    const entries = readImageEntries(get(root, "features"));
    if (typeof entries === "string") return unexpected(`has bad features: ${entries}`);
    const expected = imageParts(context.root).length;
    if (entries.length !== expected) return unexpected(`has ${entries.length} images, the request ${expected}`);
    if (entries.some(({ lengthTokens }) => lengthTokens > maxImageTokens)) {
      return unexpected(`has an image of more than ${maxImageTokens} tokens`);
    }
    return this.#take(context, promptTokens(get(root, "token_ids")), entries);
  }

  #take(context: RequestContext, tokens: PromptTokens | undefined, images: readonly ImageEntry[]): StepOutcome {
    if (tokens === undefined) return unexpected("has no token_ids");
    context.tokens = tokens;
    context.images = images;
    return this.#limits(context);
  }

  #limits({ tokens, images }: RequestContext): StepOutcome {
    const { maxPromptTokens, maxPlaceholderTokens } = this.#options;
    const promptLength = tokens?.ids.length ?? 0;
    if (maxPromptTokens !== undefined && promptLength > maxPromptTokens) {
      return badRequest(this.type, `the prompt has ${promptLength} tokens; at most ${maxPromptTokens} are taken`);
    }
    const placeholders = images.reduce((sum, { lengthTokens }) => sum + lengthTokens, 0);
    if (maxPlaceholderTokens !== undefined && placeholders > maxPlaceholderTokens) {
      return badRequest(this.type, `the images have ${placeholders} tokens; at most ${maxPlaceholderTokens} are taken`);
    }
    return undefined;
  }

  /** The service's answer. */
  async #ask({ exchange, api, root }: RequestContext): Promise<JsonValue | NonNullable<StepOutcome>> {
    if (this.#service === undefined) return failed(this.type, "no-address", "render has no address");
    const reply = await this.#service.collect(
      exchange,
      { name: this.type, path: `${pathOf(api)}/render`, body: [root.document.bytes] },
      this.#options.timeoutMs,
    );
    const failure = replyFailure(this.type, reply);
    if (failure !== undefined || !reply.answered) return failure!;
    const document = scanJson(reply.body);
    return document.ok ? document.root : unexpected(`is no JSON: ${document.message}`);
  }
}

function unexpected(problem: string): NonNullable<StepOutcome> {
  return failed("render", "bad-answer", `the rendering service's answer ${problem}`);
}
