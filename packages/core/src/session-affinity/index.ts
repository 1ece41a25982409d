export { createSessionAffinity, type SessionAffinity } from "./session-affinity.ts";
export {
  type SessionAffinityParams,
  type SessionSource,
  sessionAffinityConsumes,
  sessionAffinityParams,
  sessionAffinityProduces,
} from "./session-affinity-params.ts";
