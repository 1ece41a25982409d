export { exampleParser as default } from "./example-parser.ts";
