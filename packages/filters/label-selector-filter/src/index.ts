export { labelSelectorFilter as default } from "./label-selector-filter.ts";
