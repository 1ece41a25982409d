export { vertexaiParser as default } from "./vertexai-parser.ts";
