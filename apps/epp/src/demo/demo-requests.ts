import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AdminService, type Decision } from "@pointsman/proto/admin";

/** A chat request of the demo: a long text that several requests share, and a question of its own. */
export interface DemoRequest {
  readonly topic: string;
  readonly system: string;
  readonly question: string;
  readonly stream: boolean;
}

export interface DemoAnswer {
  readonly kind: "JSON" | "SSE";
  readonly requestId: string;
  readonly server: string;
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

/** Two questions about each of several handbooks, first all of one round, then all of the next, as JSON and as a stream. */
export function demoRequests(): readonly DemoRequest[] {
  const handbooks = ["railways", "lighthouses", "gardens"].map((topic) => ({
    topic,
    system: `You answer questions about the handbook of ${topic}.\n${Array.from({ length: 120 }, (_, i) => `Rule ${i + 1} of ${topic}: keep the log of day ${i * 7 + topic.length} complete.`).join("\n")}`,
  }));
  const questions = ["What does rule 3 say?", "Which rules mention the log?", "Summarise the handbook."];
  return questions.flatMap((question, round) =>
    handbooks.map((handbook) => ({ ...handbook, question, stream: round % 2 === 1 })),
  );
}

/** Sends one request through the proxy and reads the whole answer. */
export async function sendChat(proxy: string, model: string, request: DemoRequest): Promise<DemoAnswer> {
  const requestId = crypto.randomUUID();
  const response = await fetch(`${proxy}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-request-id": requestId },
    signal: AbortSignal.timeout(30_000),
    body: JSON.stringify({
      model,
      max_tokens: 16,
      stream: request.stream,
      ...(request.stream ? { stream_options: { include_usage: true } } : {}),
      messages: [
        { role: "system", content: request.system },
        { role: "user", content: request.question },
      ],
    }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`the proxy answered ${response.status}: ${text}`);
  const usage = request.stream ? streamedUsage(text) : (JSON.parse(text) as Answer).usage;
  return {
    kind: request.stream ? "SSE" : "JSON",
    requestId,
    server: response.headers.get("x-model-sim-server") ?? "?",
    promptTokens: usage?.prompt_tokens ?? 0,
    cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

interface Answer {
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens: number };
  } | null;
}

/** Usage of the event that carries it. */
function streamedUsage(text: string): Answer["usage"] {
  for (const line of text.split("\n").toReversed()) {
    if (!line.startsWith("data: {")) continue;
    const { usage } = JSON.parse(line.slice("data: ".length)) as Answer;
    if (usage !== undefined && usage !== null) return usage;
  }
  return undefined;
}

/** Decision records of the running picker, newest first. */
export async function recentDecisions(
  admin: string,
  limit: number,
  requestId: string = "",
): Promise<readonly Decision[]> {
  const client = createClient(AdminService, createConnectTransport({ baseUrl: `http://${admin}`, httpVersion: "1.1" }));
  return (await client.listDecisions({ limit, requestId }, { timeoutMs: 10_000 })).decisions;
}
