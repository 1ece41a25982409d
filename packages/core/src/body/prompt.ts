import type { MultiModalFeature } from "../attributes/tokenized-prompt.ts";
import type { PromptSegment } from "../plugin/parser.ts";

/** Texts, messages and blocks that a prompt may have together: each costs an object when the prompt is read. */
export const maxPromptParts: number = 65_536;

/** What a client is told whose prompt has more. */
export const tooManyParts: string = `the prompt has more than ${maxPromptParts} parts`;

/** The prompt of a request that was checked, read only when somebody asks. */
export interface Prompt {
  /** One list for each independent prompt. */
  segments(): readonly (readonly PromptSegment[])[];
  /** Token ids that the client sent; undefined when it sent text. */
  readonly tokenIds: readonly Uint32Array[] | undefined;
  /** Media in the tokens, one list for each array of them; absent where there are none. */
  features?(): readonly (readonly MultiModalFeature[])[];
}

/** The prompt of a request whose engine caches none. */
export const noPrompt: Prompt = { segments: () => [], tokenIds: undefined };
