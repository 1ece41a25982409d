import { Session } from "node:inspector/promises";

/** Longest profile. */
export const maxProfileSeconds = 300;

export const profilePrefix = "/debug/pprof/";

/** What a page answers. */
export interface ProfileAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Name under which a browser saves it. */
  readonly fileName?: string;
}

interface ProfilePage {
  readonly what: string;
  /** Length when the query names none. */
  readonly defaultSeconds: number;
  readonly fileName: string;
  record(session: Session, pause: Promise<void>): Promise<unknown>;
}

const heapPage = (what: string, fileName: string, all: boolean): ProfilePage => ({
  what,
  defaultSeconds: 10,
  fileName,
  async record(session, pause) {
    const collected = { includeObjectsCollectedByMajorGC: all, includeObjectsCollectedByMinorGC: all };
    await session.post("HeapProfiler.startSampling", { samplingInterval: 32_768, ...collected });
    await pause;
    return (await session.post("HeapProfiler.stopSampling")).profile;
  },
});

const pages: ReadonlyMap<string, ProfilePage> = new Map([
  [
    "profile",
    {
      what: "CPU time by function, as .cpuprofile",
      defaultSeconds: 30,
      fileName: "epp.cpuprofile",
      async record(session, pause) {
        await session.post("Profiler.enable");
        await session.post("Profiler.start");
        await pause;
        return (await session.post("Profiler.stop")).profile;
      },
    },
  ],
  [
    "heap",
    heapPage("memory that was allocated meanwhile and is still held, as .heapprofile", "epp.heapprofile", false),
  ],
  ["allocs", heapPage("all memory that was allocated meanwhile, as .heapprofile", "epp-allocs.heapprofile", true)],
]);

/** Pages of the Go picker that have no counterpart in Node. */
const goOnly = ["goroutine", "threadcreate", "block", "mutex", "symbol", "trace"];

/** Profiles of the running process. One is recorded at a time, and not for longer than five minutes. */
export class ProfilePages {
  #recording = false;

  /** `page` is the path after the prefix. `left` aborts when the client has gone: recording ends then. */
  async answer(page: string, query: URLSearchParams, left: AbortSignal): Promise<ProfileAnswer> {
    if (page === "") return text(200, index());
    if (page === "cmdline") return text(200, process.argv.join("\0"));
    const profile = pages.get(page);
    if (profile === undefined) {
      return goOnly.includes(page)
        ? text(501, `${page} is a profile of Go programs; see ${profilePrefix} for what Node has\n`)
        : text(404, `no profile ${JSON.stringify(page)}; see ${profilePrefix}\n`);
    }
    const given = query.get("seconds");
    const seconds = given === null || given === "" ? profile.defaultSeconds : Number(given);
    if (!(seconds > 0 && seconds <= maxProfileSeconds)) {
      return text(400, `seconds=${given}: not a number above 0 and up to ${maxProfileSeconds}\n`);
    }
    if (this.#recording) return text(409, "another profile is being recorded; try again when it is done\n");
    this.#recording = true;
    const session = new Session();
    try {
      session.connect();
      const recorded = await profile.record(session, pause(seconds * 1000, left));
      const body = JSON.stringify(recorded);
      return { status: 200, contentType: "application/json", body, fileName: profile.fileName };
    } finally {
      session.disconnect();
      this.#recording = false;
    }
  }
}

function text(status: number, body: string): ProfileAnswer {
  return { status, contentType: "text/plain; charset=utf-8", body };
}

function index(): string {
  const lines = [...pages].map(
    ([name, { what, defaultSeconds }]) => `  ${profilePrefix}${name}?seconds=${defaultSeconds}\t${what}`,
  );
  return `Profiles of this process. Chrome's DevTools and VS Code open the files; \`go tool pprof\` does not.

${lines.join("\n")}
  ${profilePrefix}cmdline\tthe command line, separated by NUL

seconds is up to ${maxProfileSeconds}; one profile is recorded at a time.
Of Go programs only, answered with 501: ${goOnly.join(", ")}
`;
}

function pause(durationMs: number, left: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (left.aborted) {
      resolve();
      return;
    }
    const timer = setTimeout(resolve, durationMs);
    left.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
