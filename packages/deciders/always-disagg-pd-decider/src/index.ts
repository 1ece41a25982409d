export { alwaysDisaggPdDecider as default } from "./always-disagg-pd-decider.ts";
