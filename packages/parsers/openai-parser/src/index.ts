export { openaiParser as default } from "./openai-parser.ts";
export { OpenAiResponseReader } from "./openai-response-reader.ts";
export { parseOpenAiRequest } from "./parse-openai-request.ts";
