export { openaiParser as default } from "./openai-parser.ts";
