export { exampleSource as default } from "./example-source.ts";
