export { byLabel as default } from "./by-label.ts";
