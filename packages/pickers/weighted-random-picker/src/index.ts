export { weightedRandomPicker as default } from "./weighted-random-picker.ts";
