import { z } from "zod";

/** Width and height of a picture or a video frame, pixels. */
export interface Resolution {
  readonly width: number;
  readonly height: number;
}

/** How many tokens an image counts for. */
export interface ImageEstimateParams {
  readonly mode: "dynamic" | "static";
  readonly defaultResolution: Resolution;
  readonly dynamic: { readonly factor: number };
  readonly static: { readonly staticToken: number };
}

/** How many tokens a video counts for: frames times tokens per frame. */
export interface VideoEstimateParams {
  readonly tokensPerFrame: {
    readonly mode: "dynamic" | "static";
    readonly dynamic: { readonly factor: number };
    readonly static: { readonly numTokensPerFrame: number };
  };
  readonly frames: {
    readonly mode: "sampled" | "strided";
    readonly minFrames: number;
    readonly maxFrames: number;
    readonly sampled: { readonly sampleFPS: number; readonly temporalPatchSize: number };
    readonly strided: { readonly defaultSourceFPS: number; readonly frameStride: number };
  };
  readonly defaultResolution: Resolution;
  readonly defaultDuration: number;
  readonly maxVideoTokens: number;
}

/** How prompts are turned into tokens. */
export interface TokenProducerParams {
  readonly estimate: { readonly image: ImageEstimateParams; readonly video: VideoEstimateParams };
}

const defaultWidth = 640;
const defaultHeight = 360;
const defaultFactor = 1024;

/** A whole number from 0; 0 stands for `fallback`. */
function count(fallback: number) {
  return z
    .int()
    .min(0)
    .default(fallback)
    .transform((value) => (value === 0 ? fallback : value));
}

/** A number from 0; 0 stands for `fallback`. */
function quantity(fallback: number) {
  return z
    .number()
    .min(0)
    .default(fallback)
    .transform((value) => (value === 0 ? fallback : value));
}

const resolution = z
  .strictObject({
    width: count(defaultWidth).describe("Pixels."),
    height: count(defaultHeight).describe("Pixels."),
  })
  .prefault({});

const factor = z
  .strictObject({ factor: count(defaultFactor).describe("Pixels for one token.") })
  .prefault({})
  .describe("Settings of the mode `dynamic`.");

const image = z
  .strictObject({
    mode: z
      .enum(["dynamic", "static"])
      .default("dynamic")
      .describe("`dynamic`: width × height / factor. `static`: the same for each image."),
    defaultResolution: resolution.describe("Size of an image whose own size cannot be read."),
    dynamic: factor,
    static: z
      .strictObject({ staticToken: count(1).describe("Tokens of an image.") })
      .prefault({})
      .describe("Settings of the mode `static`."),
  })
  .prefault({})
  .describe("How many tokens an image counts for; 1 at least.");

const tokensPerFrame = z
  .strictObject({
    mode: z
      .enum(["dynamic", "static"])
      .default("dynamic")
      .describe("`dynamic`: width × height / factor. `static`: the same for each frame."),
    dynamic: factor,
    static: z
      .strictObject({ numTokensPerFrame: count(1).describe("Tokens of a frame.") })
      .prefault({})
      .describe("Settings of the mode `static`."),
  })
  .prefault({})
  .describe("Tokens of one frame; 1 at least.");

const frames = z
  .strictObject({
    mode: z
      .enum(["sampled", "strided"])
      .default("sampled")
      .describe(
        "`sampled`: duration × sampleFPS / temporalPatchSize. `strided`: duration × source rate / frameStride.",
      ),
    minFrames: z.int().min(0).default(0).describe("Frames counted at least."),
    maxFrames: z.int().min(0).default(0).describe("Frames counted at most; 0 is no limit."),
    sampled: z
      .strictObject({
        sampleFPS: quantity(2).describe("Frames taken from each second."),
        temporalPatchSize: count(1).describe("Frames that share their tokens."),
      })
      .prefault({})
      .describe("Settings of the mode `sampled`."),
    strided: z
      .strictObject({
        defaultSourceFPS: quantity(24).describe("Frames per second of a video whose own rate is not told."),
        frameStride: count(1).describe("Of so many frames one is taken."),
      })
      .prefault({})
      .describe("Settings of the mode `strided`."),
  })
  .prefault({})
  .describe("How many frames are counted.");

const video = z
  .strictObject({
    tokensPerFrame,
    frames,
    defaultResolution: resolution.describe("Size of a frame where the request does not tell it."),
    defaultDuration: quantity(10).describe("Seconds of a video where the request does not tell it."),
    maxVideoTokens: z.int().min(0).default(0).describe("Tokens of a video at most; 0 is no limit."),
  })
  .prefault({})
  .describe("How many tokens a video counts for: frames × tokens of a frame, 1 at least.");

const reason = "this version has the backend `estimate` only, which needs no model and no service";

export const tokenProducerParams: z.ZodType<TokenProducerParams> = z
  .strictObject({
    estimate: z.strictObject({ image, video }).prefault({}).describe("Settings of the backend `estimate`."),
    modelName: z
      .string()
      .optional()
      .describe("Model of the backend `vllm`, which this version does not have: refused."),
    vllm: z.unknown().optional().describe("The backend `vllm`, which this version does not have: refused."),
    udsTokenizerConfig: z
      .looseObject({ socketFile: z.string().optional().describe("Socket of the tokenizer: refused.") })
      .optional()
      .describe("The deprecated tokenizer backend, which this version does not have: refused with a `socketFile`."),
  })
  .superRefine(({ modelName, vllm, udsTokenizerConfig }, context) => {
    const refuse = (name: string): void => {
      context.addIssue({
        code: "custom",
        path: [name],
        message: `asks for another backend; ${reason}. Remove ${name}`,
      });
    };
    if (modelName !== undefined && modelName !== "") refuse("modelName");
    if (vllm !== undefined && vllm !== null) refuse("vllm");
    if ((udsTokenizerConfig?.socketFile ?? "") !== "") refuse("udsTokenizerConfig");
  })
  .transform(({ estimate }) => ({ estimate }));
