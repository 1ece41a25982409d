export { multiclusterFileDiscovery as default } from "./multicluster-file-discovery.ts";
