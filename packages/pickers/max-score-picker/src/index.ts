export { maxScorePicker as default } from "./max-score-picker.ts";
