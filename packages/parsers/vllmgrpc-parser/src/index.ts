export { vllmgrpcParser as default } from "./vllmgrpc-parser.ts";
