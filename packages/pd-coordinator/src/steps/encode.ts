import { get, type JsonValue, rawBytes, scanJson } from "@pointsman/core/json";
import { type Cancellation, jsonText, RawJson } from "@pointsman/pd-sidecar/shared";
import { featuresText, type ImageEntry } from "../body/image-entry.ts";
import { imageParts } from "../body/image-parts.ts";
import type { EncodeOptions } from "../config/coordinator-options.ts";
import { EcParams } from "../connectors/ec-params.ts";
import type { ServiceClient } from "../gateway/service-client.ts";
import { type Api, pathOf, phaseApi } from "../pipeline/api.ts";
import { modelText, type RequestContext } from "../pipeline/request-context.ts";
import { failed, replyFailure, type Step, type StepFailure, type StepOutcome } from "../pipeline/step.ts";

const phaseHeaders: ReadonlyMap<string, string> = new Map([["epp-profile", "encode"]]);

/** Has every image of a chat encoded by a server of its own, before prefill. */
export class Encode implements Step {
  readonly type = "encode";
  readonly #options: EncodeOptions;
  readonly #gateway: ServiceClient;
  readonly #timeoutMs: number | undefined;

  constructor(options: EncodeOptions, gateway: ServiceClient, timeoutMs: number | undefined) {
    this.#options = options;
    this.#gateway = gateway;
    this.#timeoutMs = timeoutMs;
  }

  async run(context: RequestContext): Promise<StepOutcome> {
    const { images, api } = context;
    // A client that sends token ids sends what its images have become with them.
    if (images.length === 0 || api === "generate") return undefined;
    const answered = await this.#fanOut(context);
    if ("kind" in answered) return answered;
    if (this.#options.ecConnector !== "ec-nixl") return undefined;
    const params = new EcParams();
    for (const [i, answer] of answered.entries()) {
      if (!params.add(get(answer, "ec_transfer_params"))) {
        return failed(this.type, "conflict", `encode[${i}]: its result differs from an earlier one of the same hash`);
      }
    }
    context.ecParams = params;
    return undefined;
  }

  /** The answers in the order of the images. The first failure ends the other calls. */
  async #fanOut(context: RequestContext): Promise<readonly JsonValue[] | StepFailure> {
    const { images, exchange } = context;
    const { cancellation, release } = exchange.cancellation.child();
    const api = phaseApi(context.api, this.#options.openAiFormat);
    const parts = api === "chat" ? imageParts(context.root).map(({ imageUrl }) => imageUrl) : [];
    const answers: JsonValue[] = [];
    let failure: StepFailure | undefined;
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < images.length && failure === undefined) {
        const index = next++;
        const body = encodeBody(context, images[index]!, parts[index], api);
        const answer = await this.#one(context, index, body, api, cancellation);
        if ("document" in answer) answers[index] = answer;
        else {
          failure ??= answer;
          cancellation.cancel();
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(images.length, this.#options.maxParallel) }, worker));
    release();
    exchange.facts["encodedImages"] = images.length;
    return failure ?? answers;
  }

  async #one(
    { exchange }: RequestContext,
    index: number,
    body: Uint8Array,
    api: Api,
    cancellation: Cancellation,
  ): Promise<JsonValue | StepFailure> {
    const name = `${this.type}[${index}]`;
    const call = { name: this.type, path: pathOf(api), body: [body], headers: phaseHeaders };
    const reply = await this.#gateway.collect(exchange, call, this.#timeoutMs, cancellation);
    const failure = replyFailure(name, reply);
    if (failure !== undefined || !reply.answered) return failure!;
    const document = scanJson(reply.body);
    if (document.ok && document.root.kind === "object") return document.root;
    return failed(
      name,
      "bad-answer",
      document.ok ? "its answer is no object" : `its answer is no JSON: ${document.message}`,
    );
  }
}

/** A prompt of one image: the first token of the whole one, then the image's tokens. */
function encodeTokens({ tokens }: RequestContext, { offset, lengthTokens }: ImageEntry): RawJson {
  const ids = tokens?.ids;
  return new RawJson(`[${ids?.[0] ?? 1}${`,${ids?.[offset] ?? 0}`.repeat(lengthTokens)}]`);
}

function encodeBody(context: RequestContext, image: ImageEntry, imageUrl: JsonValue | undefined, api: Api): Uint8Array {
  const ids = encodeTokens(context, image);
  const alone: readonly ImageEntry[] = [{ ...image, offset: 1 }];
  const model = modelText(context);
  if (api !== "chat" || imageUrl === undefined) {
    const features = featuresText(alone, { kwargs: true });
    return jsonText({ model, token_ids: ids, features, sampling_params: { max_tokens: 1 }, stream: false });
  }
  const raw = new RawJson(rawBytes(imageUrl));
  const image_url = imageUrl.kind === "string" ? { url: raw } : raw;
  return jsonText({
    model,
    messages: [{ role: "user", content: [{ type: "image_url", image_url }] }],
    tokens: { token_ids: ids, features: featuresText(alone, { kwargs: false }) },
    max_tokens: 1,
    stream: false,
  });
}
