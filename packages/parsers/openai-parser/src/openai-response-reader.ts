import type { ResponseContext } from "@pointsman/core";
import { AnswerReader, openAiAnswer } from "@pointsman/core/body";

/** Reads usage from an answer of the OpenAI API and puts the model's name back. A compressed answer passes unread. */
export class OpenAiResponseReader extends AnswerReader {
  constructor(context: ResponseContext) {
    super(context, openAiAnswer);
  }
}
