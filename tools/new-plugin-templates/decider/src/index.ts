export { exampleDecider as default } from "./example-decider.ts";
