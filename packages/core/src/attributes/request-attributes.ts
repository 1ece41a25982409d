import { type AttributeKey, type AttributeType, defineAttribute } from "./attribute-key.ts";

/** Identity of the agent or tool that sends the request; the fairness id when the client names none. */
export const AGENT_IDENTITY: AttributeKey<string> = defineAttribute<string>({
  dataType: "agent-identity",
  scope: "request",
  defaultProducer: "",
}).from();

/** Session the request belongs to. */
export const SESSION_ID: AttributeType<string> = defineAttribute({
  dataType: "SessionIDDataKey",
  scope: "request",
  defaultProducer: "session-id-producer",
  autoCreate: true,
});
