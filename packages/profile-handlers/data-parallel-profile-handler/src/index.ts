export { dataParallelProfileHandler as default } from "./data-parallel-profile-handler.ts";
