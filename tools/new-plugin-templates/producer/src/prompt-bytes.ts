import { type AttributeType, defineAttribute } from "@pointsman/core";

/** Bytes of text in a request's prompts together. Unknown without text. */
export const EXAMPLE_PRODUCER_PROMPT_BYTES: AttributeType<number> = defineAttribute<number>({
  dataType: "ExampleProducerPromptBytes",
  scope: "request",
  defaultProducer: "example-producer",
});
