import { get, rawBytes, scanJson } from "@pointsman/core/json";
import { type Cancellation, editRoot, jsonText, RawJson } from "@pointsman/pd-sidecar/shared";
import { capOutput } from "../body/cap-output.ts";
import { featuresText } from "../body/image-entry.ts";
import type { PlainStepOptions, SglangOptions } from "../config/coordinator-options.ts";
import { newKvTransfer } from "../connectors/kv-connector.ts";
import type { ServiceClient } from "../gateway/service-client.ts";
import { type Api, pathOf, phaseApi } from "../pipeline/api.ts";
import { modelText, type RequestContext } from "../pipeline/request-context.ts";
import { failed, replyFailure, type Step, type StepOutcome } from "../pipeline/step.ts";
import { tokensText } from "./tokens-text.ts";

const phaseHeaders: ReadonlyMap<string, string> = new Map([["epp-profile", "prefill"]]);

/** Has a prefill server compute the prompt; its answer says where the KV cache is. */
export class Prefill implements Step {
  readonly type = "prefill";
  readonly #options: PlainStepOptions;
  readonly #sglang: SglangOptions;
  readonly #gateway: ServiceClient;
  readonly #timeoutMs: number | undefined;
  /** Of prefills that run beside the steps after them, some longer than their requests. */
  readonly #alongside = new Set<Cancellation>();

  constructor(options: PlainStepOptions, sglang: SglangOptions, gateway: ServiceClient, timeoutMs: number | undefined) {
    this.#options = options;
    this.#sglang = sglang;
    this.#gateway = gateway;
    this.#timeoutMs = timeoutMs;
  }

  stop(): void {
    for (const cancellation of this.#alongside) cancellation.cancel();
  }

  async run(context: RequestContext): Promise<StepOutcome> {
    const transfer = newKvTransfer(this.#options.kvConnector, this.#sglang);
    context.kvTransfer = transfer;
    const api = phaseApi(context.api, this.#options.openAiFormat);
    const body = prefillBody(context, api, transfer.prefill, this.#ecText(context));
    if (!transfer.sideBySide) return await this.#send(context, api, body, context.exchange.cancellation);
    const { cancellation, release } = context.exchange.cancellation.child();
    this.#alongside.add(cancellation);
    const ended = this.#send(context, api, body, cancellation).finally(() => {
      release();
      this.#alongside.delete(cancellation);
    });
    context.alongside = { ended, cancel: () => cancellation.cancel() };
    return undefined;
  }

  async #send(
    context: RequestContext,
    api: Api,
    body: readonly Uint8Array[],
    cancellation: Cancellation,
  ): Promise<StepOutcome> {
    const { exchange } = context;
    const call = { name: this.type, path: pathOf(api), body, headers: phaseHeaders };
    const reply = await this.#gateway.collect(exchange, call, this.#timeoutMs, cancellation);
    const failure = replyFailure(this.type, reply);
    if (failure !== undefined || !reply.answered) return failure;
    const document = scanJson(reply.body);
    if (!document.ok) return failed(this.type, "bad-answer", `its answer is no JSON: ${document.message}`);
    const params = get(document.root, "kv_transfer_params");
    if (params?.kind === "object") context.kvAnswered = params;
    else if (this.#options.kvConnector === "kv-nixl") {
      exchange.metrics.kvTransferFailures.labels("kv-nixl", "no-params").inc();
      exchange.logger.warn(
        { requestId: exchange.requestId },
        "prefill did not say where its KV cache is; decode computes the prompt itself",
      );
    }
    return undefined;
  }

  #ecText({ ecParams }: RequestContext): RawJson | undefined {
    const text = this.#options.ecConnector === "ec-nixl" ? ecParams?.text : undefined;
    return text === undefined ? undefined : new RawJson(text);
  }
}

function prefillBody(
  context: RequestContext,
  api: Api,
  kvText: Uint8Array,
  ec: RawJson | undefined,
): readonly Uint8Array[] {
  const { root, tokens, images, exchange } = context;
  const kv = new RawJson(kvText);
  if (api === "chat") {
    const edits = new Map<string, Uint8Array | undefined>();
    capOutput(edits, root);
    const prompt = tokensText(context);
    if (prompt !== undefined) edits.set("tokens", prompt);
    edits.set("kv_transfer_params", kvText);
    // What a client sends under this name is not what an encode server said.
    edits.set("ec_transfer_params", ec?.text);
    return editRoot(root, edits);
  }
  const common = { request_id: exchange.requestId, model: modelText(context) };
  const ids = tokens === undefined ? undefined : new RawJson(tokens.text);
  const features = featuresText(images, { kwargs: true });
  if (api === "completions") {
    const prompt = get(root, "prompt");
    const given = prompt === undefined ? undefined : new RawJson(rawBytes(prompt));
    // A client's chat limit stays one token, where it has one.
    const limit = get(root, "max_completion_tokens") === undefined ? undefined : 1;
    return [
      jsonText({
        ...common,
        prompt: ids ?? given,
        max_tokens: 1,
        max_completion_tokens: limit,
        stream: false,
        features,
        kv_transfer_params: kv,
        ec_transfer_params: ec,
      }),
    ];
  }
  const sampling = { max_tokens: 1, extra_args: { kv_transfer_params: kv, ec_transfer_params: ec } };
  return [jsonText({ ...common, token_ids: ids, features, sampling_params: sampling, stream: false })];
}
