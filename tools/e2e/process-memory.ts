import { readdirSync, readlinkSync } from "node:fs";
import type { Running } from "./running.ts";

/** What a Node process holds after it has thrown away what it could. Bytes. */
export interface ProcessMemory {
  /** JavaScript objects. */
  readonly heapBytes: number;
  /** Buffers, and what native code holds for objects. */
  readonly externalBytes: number;
  readonly residentBytes: number;
}

/** Environment in which a program built on Node opens its inspector on a free port. */
export const inspectedEnvironment: Readonly<Record<string, string>> = { NODE_OPTIONS: "--inspect=127.0.0.1:0" };

/** Collects garbage in a process that was started with {@link inspectedEnvironment}, then asks what it holds. */
export async function memoryOf(running: Running): Promise<ProcessMemory> {
  // A script that starts Node twice has said it twice; the last one serves.
  const url = running.lines
    .findLast((line) => line.startsWith("Debugger listening on "))
    ?.split(" ")
    .at(-1);
  if (url === undefined) throw new Error(`${running.name} has no inspector; it said:\n${running.lines.join("\n")}`);
  const socket = new WebSocket(url);
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error(`no answer at ${url}`));
  });
  let lastId = 0;
  const ask = (method: string, params: object = {}): Promise<{ readonly result: { readonly value?: unknown } }> =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      const hear = ({ data }: MessageEvent): void => {
        const answer = JSON.parse(String(data)) as { id?: number; error?: { message: string }; result: never };
        if (answer.id !== id) return;
        socket.removeEventListener("message", hear);
        if (answer.error === undefined) resolve(answer.result);
        else reject(new Error(`${method}: ${answer.error.message}`));
      };
      socket.addEventListener("message", hear);
      socket.send(JSON.stringify({ id, method, params }));
    });
  try {
    for (let round = 0; round < 3; round++) {
      await ask("HeapProfiler.collectGarbage");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const { result } = await ask("Runtime.evaluate", { expression: "JSON.stringify(process.memoryUsage())" });
    const { heapUsed, external, rss } = JSON.parse(String(result.value)) as NodeJS.MemoryUsage;
    return { heapBytes: heapUsed, externalBytes: external, residentBytes: rss };
  } finally {
    socket.close();
  }
}

/** Sockets that a process has open. */
export function openSockets(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((file) => {
    try {
      return readlinkSync(`${folder}/${file}`).startsWith("socket:");
    } catch {
      // Closed meanwhile.
      return false;
    }
  }).length;
}
