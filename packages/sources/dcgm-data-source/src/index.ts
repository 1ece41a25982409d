export { dcgmDataSource as default } from "./dcgm-data-source.ts";
