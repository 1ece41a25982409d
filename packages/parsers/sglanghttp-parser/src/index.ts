export { sglangHttpParser as default } from "./sglanghttp-parser.ts";
