export { passthroughParser as default } from "./passthrough-parser.ts";
