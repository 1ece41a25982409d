export { modelsDataSource as default } from "./models-data-source.ts";
