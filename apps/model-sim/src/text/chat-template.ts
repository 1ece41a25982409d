import { messageEndToken, messageStartToken, type TokenList, tokenTexts } from "./tokenizer.ts";

export interface ChatMessage {
  readonly role: string;
  readonly text: string;
}

export interface ChatPrompt {
  /** Tool definitions as JSON text, put in front of the messages. */
  readonly toolsText: string | undefined;
  readonly messages: readonly ChatMessage[];
  /** Whether the prompt ends with the opening of the assistant's message. */
  readonly opensAnswer: boolean;
}

/** Either a text that is split into tokens, or one special token with the text it stands for. */
type Segment = { readonly text: string } | { readonly special: number; readonly shown: string };

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
    yield { text: message.text };
    yield { special: messageEndToken, shown: "<|im_end|>" };
  }
  if (prompt.opensAnswer) {
    yield { special: messageStartToken, shown: "<|im_start|>" };
    yield { text: "assistant\n" };
  }
}

export function addChatTokens(prompt: ChatPrompt, tokens: TokenList): void {
  for (const segment of segments(prompt)) {
    if ("text" in segment) tokens.addText(segment.text);
    else tokens.addToken(segment.special);
  }
}

/** The text of each token of a conversation, in order. */
export function chatTokenTexts(prompt: ChatPrompt): string[] {
  const texts: string[] = [];
  for (const segment of segments(prompt)) {
    if ("text" in segment) for (const piece of tokenTexts(segment.text)) texts.push(piece);
    else texts.push(segment.shown);
  }
  return texts;
}
