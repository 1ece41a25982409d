export { alwaysDisaggMultimodalDecider as default } from "./always-disagg-multimodal-decider.ts";
