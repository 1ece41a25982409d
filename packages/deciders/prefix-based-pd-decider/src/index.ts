export { prefixBasedPdDecider as default } from "./prefix-based-pd-decider.ts";
