export { Datastore, type DatastoreOptions, type PoolInfo } from "./datastore.ts";
export { maxObjectives, ObjectiveStore, type PrioritiesListener } from "./objective-store.ts";
export { maxRewrites, RewriteStore, type RewriteStoreOptions } from "./rewrite-store.ts";
