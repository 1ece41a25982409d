export { FileDiscovery, fileDiscovery as default } from "./file-discovery.ts";
export { type FileDiscoveryParams, fileDiscoveryParams } from "./params.ts";
export type { ReadOptions } from "./read-endpoints.ts";
