import { addImageTokens, type ImageInput } from "./image-input.ts";
import { messageEndToken, messageStartToken, type TokenList, tokenTexts } from "./tokenizer.ts";

export interface ChatMessage {
  readonly role: string;
  readonly text: string;
  /** Stand before its text. */
  readonly images?: readonly ImageInput[];
}

export interface ChatPrompt {
  /** Tool definitions as JSON text, put in front of the messages. */
  readonly toolsText: string | undefined;
  readonly messages: readonly ChatMessage[];
  /** Whether the prompt ends with the opening of the assistant's message. */
  readonly opensAnswer: boolean;
}

/** A text that is split into tokens, one special token with the text it stands for, or an image. */
type Segment =
  | { readonly text: string }
  | { readonly special: number; readonly shown: string }
  | { readonly image: ImageInput };

/**
 * The segments of a conversation. A message's text is a segment of its own, so an answer sent back in the next turn
 * has the tokens that were generated, and its KV-cache blocks are found again.
 */
function* segments(prompt: ChatPrompt): Generator<Segment> {
  if (prompt.toolsText !== undefined) {
    yield { special: messageStartToken, shown: "<|im_start|>" };
    yield { text: "tools\n" };
    yield { text: prompt.toolsText };
    yield { special: messageEndToken, shown: "<|im_end|>" };
  }
  for (const message of prompt.messages) {
    yield { special: messageStartToken, shown: "<|im_start|>" };
    yield { text: `${message.role}\n` };
    for (const image of message.images ?? []) yield { image };
    yield { text: message.text };
    yield { special: messageEndToken, shown: "<|im_end|>" };
  }
  if (prompt.opensAnswer) {
    yield { special: messageStartToken, shown: "<|im_start|>" };
    yield { text: "assistant\n" };
  }
}

/** Where an image's tokens begin in a prompt. */
export interface PlacedImage {
  readonly offset: number;
  readonly image: ImageInput;
}

/** Adds a conversation and returns where its images are. */
export function addChatTokens(prompt: ChatPrompt, tokens: TokenList): readonly PlacedImage[] {
  const images: PlacedImage[] = [];
  for (const segment of segments(prompt)) {
    if ("text" in segment) tokens.addText(segment.text);
    else if ("special" in segment) tokens.addToken(segment.special);
    else {
      images.push({ offset: tokens.length, image: segment.image });
      addImageTokens(segment.image, tokens);
    }
  }
  return images;
}

/** The text of each token of a conversation, in order. */
export function chatTokenTexts(prompt: ChatPrompt): string[] {
  const texts: string[] = [];
  for (const segment of segments(prompt)) {
    if ("text" in segment) for (const piece of tokenTexts(segment.text)) texts.push(piece);
    else if ("special" in segment) texts.push(segment.shown);
    else for (let i = 0; i < segment.image.tokens; i += 1) texts.push("<|image_pad|>");
  }
  return texts;
}
