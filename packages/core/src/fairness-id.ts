import { type Headers, headerText } from "./headers.ts";
import { aliasedHeaders } from "./wire-names.ts";

/** Whom a request counts for: what its header says, else the agent that sends it, else `default-flow`. */
export function fairnessIdOf(headers: Headers, agent?: string): string {
  return headerText(headers.getAliased(aliasedHeaders.fairnessId) ?? "") || agent || "default-flow";
}
