import { toJson } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { errorText } from "@pointsman/core";
import { AdminService, ListDecisionsResponseSchema } from "@pointsman/proto/admin";
import { flagTable } from "../flags/flag-table.ts";
import type { Command } from "./commands.ts";
import { complain, exitCode, print } from "./output.ts";
import { parseOnly } from "./parse-only.ts";
import { renderDecision } from "./render-decision.ts";

const explainFlags = [
  {
    name: "address",
    kind: "string",
    default: "",
    help: "Metrics address of the picker; 127.0.0.1 and --metrics-port when empty.",
  },
  flagTable.find((flag) => flag.name === "metrics-port")!,
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
] as const;

export const explainCommand: Command = {
  async run(args) {
    const flags = parseOnly("explain", args, explainFlags);
    if (flags === undefined) return exitCode.badInput;
    const address = String(flags.values.get("address")) || `127.0.0.1:${flags.values.get("metrics-port")}`;
    const requestId = String(flags.values.get("request-id"));
    const client = createClient(
      AdminService,
      createConnectTransport({ baseUrl: `http://${address}`, httpVersion: "1.1" }),
    );
    let answer: Awaited<ReturnType<typeof client.listDecisions>>;
    try {
      answer = await client.listDecisions(
        { limit: Number(flags.values.get("limit")), requestId },
        { timeoutMs: 10_000 },
      );
    } catch (thrown: unknown) {
      complain(
        `epp explain: no answer from http://${address}: ${errorText(thrown)}. ` +
          "Is the picker running, and is that its --metrics-port?",
      );
      return exitCode.failed;
    }
    if (flags.values.get("json") === true) {
      print(JSON.stringify(toJson(ListDecisionsResponseSchema, answer), null, 2));
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
