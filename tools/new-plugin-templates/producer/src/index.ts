export { exampleProducer as default } from "./example-producer.ts";
export { EXAMPLE_PRODUCER_PROMPT_BYTES } from "./prompt-bytes.ts";
