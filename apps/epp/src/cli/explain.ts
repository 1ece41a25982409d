import { toJson } from "@bufbuild/protobuf";
import { ListDecisionsResponseSchema } from "@pointsman/proto/admin";
import { adminFlags } from "../flags/admin-flags.ts";
import type { FlagSpec } from "../flags/flag-table.ts";
import { adminFailure, connectAdmin } from "./admin-client.ts";
import type { Command } from "./commands.ts";
import { complain, exitCode, print } from "./output.ts";
import { parseOnly } from "./parse-only.ts";
import { renderDecision } from "./render-decision.ts";

const explainFlags: readonly FlagSpec[] = [
  ...adminFlags,
  {
    name: "limit",
    short: "n",
    kind: "integer",
    default: "1",
    min: 1,
    max: 1000,
    help: "Number of decisions, newest first.",
  },
  { name: "request-id", kind: "string", default: "", help: "Only the request of this id." },
  { name: "json", kind: "boolean", default: "false", help: "Print JSON." },
];

export const explainCommand: Command = {
  flags: explainFlags,
  async run(args) {
    const flags = parseOnly("explain", args, explainFlags);
    if (flags === undefined) return exitCode.badInput;
    const requestId = String(flags.values.get("request-id"));
    const admin = connectAdmin(flags, process.env);
    if ("problems" in admin) {
      for (const problem of admin.problems) complain(`epp explain: ${problem}`);
      return exitCode.badInput;
    }
    for (const warning of admin.warnings) complain(`epp explain: ${warning}`);
    let answer: Awaited<ReturnType<typeof admin.client.listDecisions>>;
    try {
      answer = await admin.client.listDecisions(
        { limit: Number(flags.values.get("limit")), requestId },
        { timeoutMs: 10_000 },
      );
    } catch (thrown: unknown) {
      complain(`epp explain: ${adminFailure(admin.url, thrown)}`);
      return exitCode.failed;
    }
    if (flags.values.get("json") === true) {
      // A score of 0 is a score, and no decisions are a list.
      print(JSON.stringify(toJson(ListDecisionsResponseSchema, answer, { alwaysEmitImplicit: true }), null, 2));
      return exitCode.ok;
    }
    if (answer.decisions.length === 0) {
      complain(
        requestId === ""
          ? "epp explain: the picker keeps no decisions yet (or runs with --decision-log-size=0)"
          : `epp explain: no decision kept for request ${requestId}; the last --decision-log-size ones are`,
      );
      return exitCode.failed;
    }
    // Oldest first, so that the newest stands where the terminal's prompt is.
    print(answer.decisions.toReversed().map(renderDecision).join("\n\n"));
    return exitCode.ok;
  },
};
