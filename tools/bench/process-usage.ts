import { readFileSync } from "node:fs";

/** The unit of CPU times in /proc: USER_HZ is 100 on x86 and ARM. */
const tickMs = 10;

/** CPU time that a process has used so far, all threads, in user and kernel mode. Resolution 10 ms. Linux only. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The program's name, in parentheses, may hold spaces. Behind it stands field 3; user and system time are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

/** Memory of a process in MiB: held now, and the most it held so far. Linux only. */
export function memoryMib(pid: number): { readonly rss: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]);
  return { rss: kib("VmRSS") / 1024, peak: kib("VmHWM") / 1024 };
}

export interface CpuUse {
  readonly cpuMs: number;
  readonly elapsedMs: number;
  /** CPU time by time. */
  readonly cores: number;
}

/** Watches a process for a while. */
export async function measureCpu(pid: number, durationMs: number): Promise<CpuUse> {
  const beforeMs = cpuMs(pid);
  const startMs = performance.now();
  await sleep(durationMs);
  const usedMs = cpuMs(pid) - beforeMs;
  const elapsedMs = performance.now() - startMs;
  return { cpuMs: usedMs, elapsedMs, cores: usedMs / elapsedMs };
}

export function sleep(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
