export { decodeFilter as default } from "./decode-filter.ts";
