/** Which API a request speaks. */
export type Api = "chat" | "completions" | "generate";

export const generatePath = "/inference/v1/generate";

const apiOfPath: ReadonlyMap<string, Api> = new Map([
  ["/v1/chat/completions", "chat"],
  ["/v1/completions", "completions"],
  [generatePath, "generate"],
] as const);

/** Missing values: undefined for a path that is not served. */
export function apiOf(path: string): Api | undefined {
  return apiOfPath.get(path);
}

/** The API of prefill and encode requests. Completions are sent as such in either format. */
export function phaseApi(api: Api, openAiFormat: boolean): Api {
  return api === "completions" || openAiFormat ? api : "generate";
}

export function pathOf(api: Api): string {
  for (const [path, each] of apiOfPath) if (each === api) return path;
  return generatePath;
}
