export { prefillFilter as default } from "./prefill-filter.ts";
