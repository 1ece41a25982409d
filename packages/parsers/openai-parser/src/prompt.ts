import type { PromptSegment } from "@pointsman/core";

/** The prompt of a request that was checked, read only when somebody asks. */
export interface Prompt {
  /** One list for each independent prompt. */
  segments(): readonly (readonly PromptSegment[])[];
  /** Token ids that the client sent; undefined when it sent text. */
  readonly tokenIds: readonly Uint32Array[] | undefined;
}

/** The prompt of a request whose engine caches none. */
export const noPrompt: Prompt = { segments: () => [], tokenIds: undefined };
