export { extProcMethod, maxReplyBodyBytes, processMethod } from "./ext-proc-session.ts";
export { type HealthChecks, healthMethods, healthStatus } from "./health-service.ts";
