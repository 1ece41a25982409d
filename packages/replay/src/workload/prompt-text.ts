import { SeededRandom } from "../seeded-random.ts";
import type { Segment, Workload, WorkloadRequest } from "./workload.ts";

/** Bytes of English text per token, about. */
const bytesPerToken = 4.3;

const lexicon = words();

/** Text of words, from which segments are cut. Long enough that two cuts rarely meet. */
function words(): Buffer {
  const random = new SeededRandom(7);
  const letters = ["bcdfghjklmnpqrstvwz", "aeiou"] as const;
  let text = "";
  while (text.length < 1 << 20) {
    for (let i = 2 * random.between(2, 4); i > 0; i--) {
      const from = letters[i % 2]!;
      text += from[random.between(0, from.length - 1)];
    }
    text += " ";
  }
  return Buffer.from(text, "latin1");
}

function textBytes(tokens: number): number {
  return Math.floor(tokens * bytesPerToken);
}

/** Writes a segment's text: its id, then words cut at a place that the id names. */
function writeSegment(target: Buffer, start: number, segment: Segment): number {
  const end = start + textBytes(segment.tokens);
  const head = `${segment.id.toString(36)} `;
  let at = start + target.write(head.slice(0, end - start), start, "latin1");
  let from = Math.floor((Math.abs(segment.id) * 7919) % (lexicon.length - 1));
  while (at < end) {
    const bytes = Math.min(end - at, lexicon.length - from);
    lexicon.copy(target, at, from, from + bytes);
    at += bytes;
    from = 0;
  }
  return at;
}

/** Path and body of the OpenAI request: chat where segments have roles, else a completion. */
export function openAiRequest(
  workload: Workload,
  request: WorkloadRequest,
  model: string,
): { readonly path: string; readonly body: Uint8Array } {
  // The same for all requests, so that it tells nothing about the length of a single answer.
  const head = `{"model":${JSON.stringify(model)},"max_tokens":${workload.maxOutputTokens},"stream":true,`;
  const isChat = request.prompt[0]?.role !== undefined;
  const bytes = head.length + 64 * (request.prompt.length + 2) + textBytes(request.promptTokens);
  const target = Buffer.allocUnsafe(bytes);
  let at = target.write(head, 0, "latin1");
  at += target.write(isChat ? '"messages":[' : '"prompt":"', at, "latin1");
  let role: string | undefined;
  for (const segment of request.prompt) {
    if (isChat && segment.role !== role) {
      const opening = `${role === undefined ? "" : '"},'}{"role":"${segment.role}","content":"`;
      at += target.write(opening, at, "latin1");
      role = segment.role;
    }
    at = writeSegment(target, at, segment);
  }
  at += target.write(isChat ? '"}]}' : '"}', at, "latin1");
  return { path: isChat ? "/v1/chat/completions" : "/v1/completions", body: target.subarray(0, at) };
}
