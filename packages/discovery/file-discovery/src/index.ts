export { fileDiscovery as default } from "./file-discovery.ts";
