export { Datastore, type DatastoreOptions, type PoolInfo } from "./datastore.ts";
