import { scanJson, stringValue } from "@pointsman/core/json";
import { imageParts } from "../body/image-parts.ts";
import { remotePartProblem } from "../body/remote-part-problem.ts";
import { spliceValues, type ValueEdit } from "../body/splice-values.ts";
import type { ReplaceMediaUrlsOptions } from "../config/coordinator-options.ts";
import { dataUrlProblem } from "../media/data-url.ts";
import { downloadImage, type Image, type NoImage } from "../media/download-image.ts";
import type { MediaNetwork } from "../media/media-network.ts";
import type { RequestContext } from "../pipeline/request-context.ts";
import { badRequest, failed, type Step, type StepFailure, type StepOutcome } from "../pipeline/step.ts";

/** A body beyond this cannot be read in place. */
const maxBodyBytes = 256 * 1024 * 1024;
/** Images of a request where the configuration sets no limit: a body of a million parts would hold up all others. */
const mostImages = 10_000;

/** One image that is fetched. */
interface Wanted {
  readonly url: string;
  /** Of the first part that names it, among all images of the request. */
  readonly index: number;
  /** Parts that name it. */
  count: number;
}

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
    const { maxImages = mostImages } = this.#options;
    if (parts.length > maxImages) {
      return badRequest(this.type, `${parts.length} images; at most ${maxImages} are taken`, "too-many");
    }
    const remote = remotePartProblem(context.root, parts);
    if (remote !== undefined) return badRequest(this.type, remote, "part");
    const urls = parts.map(({ url }) => stringValue(url) ?? "");
    for (const [i, url] of urls.entries()) {
      const problem = isData(url) ? dataUrlProblem(url) : undefined;
      if (problem !== undefined) return badRequest(this.type, `image ${i}: ${problem}`, "data-url");
    }
    const wanted = wantedImages(urls);
    if (wanted.length === 0) return undefined;
    const images = await this.#fetchAll(context, wanted);
    if ("kind" in images) return images;
    const edits: ValueEdit[] = [];
    for (const [i, { url }] of parts.entries()) {
      const text = images.get(urls[i]!);
      if (text !== undefined) edits.push({ value: url, text: [text] });
    }
    const slices = spliceValues(context.root, edits);
    const bodyBytes = slices.reduce((bytes, slice) => bytes + slice.length, 0);
    if (bodyBytes > maxBodyBytes) {
      return badRequest(this.type, `with its images the body exceeds ${maxBodyBytes} bytes`, "too-large");
    }
    const document = scanJson(Buffer.concat(slices, bodyBytes));
    if (!document.ok) return badRequest(this.type, `with its images the body cannot be read: ${document.message}`);
    context.root = document.root;
    return undefined;
  }

  /** Data URLs, as JSON, by the URL of the image. The first failure ends the other downloads. */
  async #fetchAll(
    { exchange }: RequestContext,
    wanted: readonly Wanted[],
  ): Promise<ReadonlyMap<string, Uint8Array> | StepFailure> {
    const { allowedHosts, allowPrivateNetworks, maxDownloadBytes, maxTotalDownloadBytes, downloadTimeoutMs } =
      this.#options;
    const { cancellation, release } = exchange.cancellation.child();
    const images = new Map<string, Uint8Array>();
    let failure: StepFailure | undefined;
    let leftBytes = maxTotalDownloadBytes;
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < wanted.length && failure === undefined) {
        const { url, index, count } = wanted[next++]!;
        // In the body an image stands as often as it is named.
        const restBytes = Math.floor(leftBytes / count);
        const result = await downloadImage(
          url,
          {
            network: this.#network,
            allowedHosts,
            allowPrivate: allowPrivateNetworks,
            maxBytes: Math.min(maxDownloadBytes, restBytes),
            timeoutMs: downloadTimeoutMs,
          },
          cancellation,
        );
        if (result.kind === "image") {
          leftBytes -= result.bytes.length * count;
          exchange.metrics.downloadedBytes.inc(result.bytes.length);
          if (leftBytes >= 0) {
            images.set(url, dataUrlText(result));
            continue;
          }
        }
        failure ??= this.#failure(index, result, restBytes < maxDownloadBytes);
        cancellation.cancel();
      }
    };
    await Promise.all(Array.from({ length: Math.min(wanted.length, this.#options.maxConcurrentDownloads) }, worker));
    release();
    return failure ?? images;
  }

  /** `ofAll`: its bytes were bounded by what the limit of all images left. */
  #failure(index: number, result: Image | NoImage, ofAll: boolean): StepFailure {
    if (result.kind === "image" || (result.reason === "too-large" && ofAll)) {
      const { maxTotalDownloadBytes } = this.#options;
      const problem = `the images exceed ${maxTotalDownloadBytes} bytes together, each counted as often as it is named`;
      return badRequest(this.type, problem, "too-large");
    }
    const problem = `image ${index}: ${result.problem}`;
    return result.kind === "refused"
      ? badRequest(this.type, problem, result.reason)
      : failed(this.type, result.reason, problem);
  }
}

/** The images to fetch, each once. */
function wantedImages(urls: readonly string[]): Wanted[] {
  const wanted = new Map<string, Wanted>();
  for (const [index, url] of urls.entries()) {
    if (isData(url)) continue;
    const known = wanted.get(url);
    if (known === undefined) wanted.set(url, { url, index, count: 1 });
    else known.count++;
  }
  return [...wanted.values()];
}

function isData(url: string): boolean {
  return url.startsWith("data:");
}

/** Neither part holds a character that JSON escapes. */
function dataUrlText({ mediaType, bytes }: Image): Uint8Array {
  return Buffer.from(`"data:${mediaType};base64,${bytes.toString("base64")}"`, "latin1");
}
