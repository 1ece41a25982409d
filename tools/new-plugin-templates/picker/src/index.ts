export { examplePicker as default } from "./example-picker.ts";
