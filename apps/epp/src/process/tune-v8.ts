import { setFlagsFromString } from "node:v8";

/** The oldest Node whose V8 knows the flags. */
const oldestNodeMajor = 24;

/** V8 flags that a picker runs with. The size of the young generation has to be set before V8 starts: see `bin/epp`. */
export const v8Flags: readonly string[] = [
  // Bodies live outside of V8's heap. By default, each 64 MiB of them starts a marking of the whole heap, several a second
  // with large prompts; with this they count as the heap does, so that marking waits until memory has grown by a share.
  "--external-memory-accounted-in-global-limit",
  // One helper thread marks while requests are served. More of them spend CPU time on waiting for each other.
  "--concurrent-marking-max-worker-num=1",
  // The whole heap is marked when it and what it refers to have grown to four times what was alive. V8's own choice comes to
  // a marking or more a second where bodies pass through a small heap, a fifth of the CPU time of streamed answers.
  "--heap-growing-percent=300",
  // Functions are optimised after hundreds of calls, not thousands: what runs once a request is compiled within the first
  // seconds of traffic. By V8's own counts, a picker of 170 requests/s takes a minute and a half until then.
  "--invocation-count-for-maglev=100",
  "--invocation-count-for-turbofan=300",
  "--minimum-invocations-after-ic-update=100",
];

/**
 * Makes V8 fit a picker: it collects garbage less often where large bodies pass, and compiles what serves requests sooner.
 *
 * At prompts of 430 KB, the process takes half the CPU time and some tens of MB more.
 */
export function tuneV8(): void {
  if (Number(process.versions.node.split(".", 1)[0]) < oldestNodeMajor) return;
  for (const flag of v8Flags) setFlagsFromString(flag);
}
