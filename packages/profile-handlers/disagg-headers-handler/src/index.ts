export { disaggHeadersHandler as default } from "./disagg-headers-handler.ts";
