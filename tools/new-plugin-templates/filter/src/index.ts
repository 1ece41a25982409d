export { exampleFilter as default } from "./example-filter.ts";
