import { nearestName } from "@pointsman/core";
import { complain } from "./output.ts";

/** Says that there is no such command, and which is nearest. */
export function complainOfUnknownCommand(name: string, known: Iterable<string>): void {
  const nearest = nearestName(name, known);
  complain(
    `epp: unknown command ${JSON.stringify(name)}${nearest === undefined ? "." : `; did you mean ${nearest}?`} See --help for all commands.`,
  );
}
