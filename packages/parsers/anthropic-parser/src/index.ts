export { anthropicParser as default } from "./anthropic-parser.ts";
