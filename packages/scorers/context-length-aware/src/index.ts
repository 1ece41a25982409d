export { contextLengthAware as default } from "./context-length-aware.ts";
