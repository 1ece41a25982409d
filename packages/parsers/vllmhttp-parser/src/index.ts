export { vllmHttpParser as default } from "./vllmhttp-parser.ts";
