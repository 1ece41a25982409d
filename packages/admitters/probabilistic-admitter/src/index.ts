export { probabilisticAdmitter as default } from "./probabilistic-admitter.ts";
