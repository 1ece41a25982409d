import { EppError, errorText, type Logger, systemClock } from "@pointsman/core";
import type { Tracing } from "@pointsman/tracing";

/**
 * Loads and starts tracing; nothing of it is in memory before. `undefined` when the environment asks for no exporter.
 * Rejects with `EPP_TRACING` when the package is not installed or cannot start.
 */
export async function loadTracing(version: string, logger: Logger): Promise<Tracing | undefined> {
  let tracing: typeof import("@pointsman/tracing");
  try {
    tracing = await import("@pointsman/tracing");
  } catch (thrown: unknown) {
    throw new EppError(
      "EPP_TRACING",
      `tracing was asked for, by --tracing or OTEL_TRACES_EXPORTER, and @pointsman/tracing cannot be loaded: ${errorText(thrown)}`,
      { cause: thrown },
    );
  }
  return tracing.startTracing({ environment: process.env, version, clock: systemClock, logger });
}
