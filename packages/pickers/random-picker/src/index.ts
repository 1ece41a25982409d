export { randomPicker as default } from "./random-picker.ts";
