import { setImmediate as nextTurn } from "node:timers/promises";
import type { PageMetric } from "./metric-family.ts";

/** Characters of a piece at least: well below a millisecond of work. */
const pieceLength = 65_536;

/**
 * The page in Prometheus' text format, in pieces. With a thousand models or tenants it has tens of megabytes, so between
 * two pieces, and two metrics, everything else gets its turn; a series that comes or goes meanwhile may be on it or not.
 * `head` stands first.
 */
export async function* pagePieces(metrics: Iterable<PageMetric>, head: string): AsyncGenerator<string> {
  let piece = head;
  let gap = head === "" ? "" : "\n";
  for (const metric of metrics) {
    const { name, help, type } = metric;
    piece += `${gap}# HELP ${name} ${helpText(help)}\n# TYPE ${name} ${type}\n`;
    gap = "\n";
    for (const lines of metric.series()) {
      piece += lines;
      if (piece.length < pieceLength) continue;
      yield piece;
      piece = "";
      await nextTurn();
    }
    await nextTurn();
  }
  yield piece;
}

function helpText(help: string): string {
  return help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
