export { encodeFilter as default } from "./encode-filter.ts";
