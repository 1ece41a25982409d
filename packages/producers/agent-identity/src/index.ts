export { agentIdentity as default } from "./agent-identity.ts";
