import { readFileSync } from "node:fs";

/**
 * Fails with a text that says what to do unless this process, and so those it starts, may open so many files. Node raises
 * the soft limit to the hard one by itself.
 */
export function needOpenFiles(count: number): void {
  const found = /^Max open files +(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  const limit = found === "unlimited" ? Number.POSITIVE_INFINITY : Number(found);
  if (!(limit >= count)) {
    throw new Error(`this test needs ${count} open files, the limit is ${found}: raise it with "ulimit -n ${count}"`);
  }
}
