import { scanJson, stringValue } from "@pointsman/core/json";
import { imageParts } from "../body/image-parts.ts";
import { spliceValues, type ValueEdit } from "../body/splice-values.ts";
import type { ReplaceMediaUrlsOptions } from "../config/coordinator-options.ts";
import { dataUrlProblem } from "../media/data-url.ts";
import { downloadImage, type Image, type NoImage } from "../media/download-image.ts";
import type { MediaNetwork } from "../media/media-network.ts";
import type { RequestContext } from "../pipeline/request-context.ts";
import { badRequest, failed, type Step, type StepFailure, type StepOutcome } from "../pipeline/step.ts";

/** Fetches the images of a chat and puts them into its body, so that every server sees the same ones. */
export class ReplaceMediaUrls implements Step {
  readonly type = "replace-media-urls";
  readonly #options: ReplaceMediaUrlsOptions;
  readonly #network: MediaNetwork;

  constructor(options: ReplaceMediaUrlsOptions, network: MediaNetwork) {
    this.#options = options;
    this.#network = network;
  }

  async run(context: RequestContext): Promise<StepOutcome> {
    if (context.api !== "chat") return undefined;
    const parts = imageParts(context.root);
    const { maxImages } = this.#options;
    if (maxImages !== undefined && parts.length > maxImages) {
      return badRequest(this.type, `${parts.length} images; at most ${maxImages} are taken`, "too-many");
    }
    const urls = parts.map(({ url }) => stringValue(url) ?? "");
    for (const [i, url] of urls.entries()) {
      const problem = isData(url) ? dataUrlProblem(url) : undefined;
      if (problem !== undefined) return badRequest(this.type, `image ${i}: ${problem}`, "data-url");
    }
    const wanted = [...new Set(urls.filter((url) => !isData(url)))];
    if (wanted.length === 0) return undefined;
    const images = await this.#fetchAll(context, wanted);
    if ("kind" in images) return images;
    const edits: ValueEdit[] = [];
    for (const [i, { url }] of parts.entries()) {
      const text = images.get(urls[i]!);
      if (text !== undefined) edits.push({ value: url, text: [text] });
    }
    const document = scanJson(Buffer.concat(spliceValues(context.root, edits)));
    if (!document.ok) return badRequest(this.type, `with its images the body is too large: ${document.message}`);
    context.root = document.root;
    return undefined;
  }

  /** Data URLs, as JSON, by the URL of the image. The first failure ends the other downloads. */
  async #fetchAll(
    { exchange }: RequestContext,
    urls: readonly string[],
  ): Promise<ReadonlyMap<string, Uint8Array> | StepFailure> {
    const { allowedHosts, allowPrivateNetworks, maxDownloadBytes, maxTotalDownloadBytes, downloadTimeoutMs } =
      this.#options;
    const { cancellation, release } = exchange.cancellation.child();
    const images = new Map<string, Uint8Array>();
    let failure: StepFailure | undefined;
    let leftBytes = maxTotalDownloadBytes;
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < urls.length && failure === undefined) {
        const index = next++;
        const url = urls[index]!;
        const result = await downloadImage(
          url,
          {
            network: this.#network,
            allowedHosts,
            allowPrivate: allowPrivateNetworks,
            maxBytes: Math.min(maxDownloadBytes, leftBytes),
            timeoutMs: downloadTimeoutMs,
          },
          cancellation,
        );
        if (result.kind === "image") {
          leftBytes -= result.bytes.length;
          exchange.metrics.downloadedBytes.inc(result.bytes.length);
          if (leftBytes >= 0) {
            images.set(url, dataUrlText(result));
            continue;
          }
        }
        failure ??= this.#failure(index, result);
        cancellation.cancel();
      }
    };
    await Promise.all(Array.from({ length: Math.min(urls.length, this.#options.maxConcurrentDownloads) }, worker));
    release();
    return failure ?? images;
  }

  #failure(index: number, result: Image | NoImage): StepFailure {
    if (result.kind === "image") {
      const problem = `the images exceed ${this.#options.maxTotalDownloadBytes} bytes together`;
      return badRequest(this.type, problem, "too-large");
    }
    const problem = `image ${index}: ${result.problem}`;
    return result.kind === "refused"
      ? badRequest(this.type, problem, result.reason)
      : failed(this.type, result.reason, problem);
  }
}

function isData(url: string): boolean {
  return url.startsWith("data:");
}

/** Neither part holds a character that JSON escapes. */
function dataUrlText({ mediaType, bytes }: Image): Uint8Array {
  return Buffer.from(`"data:${mediaType};base64,${bytes.toString("base64")}"`, "latin1");
}
