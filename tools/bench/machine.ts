import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { root } from "../workspace-packages.ts";

/** What the figures were taken on. */
export interface Machine {
  readonly cores: number;
  readonly cpuModel: string;
  readonly memoryGib: number;
  /** Over 1, 5 and 15 minutes, before the first case. */
  readonly loadAverage: readonly number[];
  readonly system: string;
  readonly node: string;
}

/** Looks at the machine as it is at this moment. */
export function thisMachine(): Machine {
  return {
    cores: availableParallelism(),
    cpuModel: cpus()[0]?.model.trim() ?? "unknown",
    memoryGib: totalmem() / 2 ** 30,
    loadAverage: loadavg(),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
  };
}

/** The commit of the checkout, with `-dirty` when files differ from it. */
export function commit(): string {
  const git = (...args: readonly string[]): string =>
    execFileSync("git", ["-C", root, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    return `${git("rev-parse", "--short=12", "HEAD")}${git("status", "--porcelain") === "" ? "" : "-dirty"}`;
  } catch {
    return "unknown (no git checkout)";
  }
}
