import { type ParsedRequest, RequestError } from "../../../packages/core/src/index.ts";
import { parseMessagesRequest } from "../../../packages/parsers/anthropic-parser/src/parse-messages-request.ts";
import { parseOpenAiRequest } from "../../../packages/parsers/openai-parser/src/parse-openai-request.ts";
import { parseSglangRequest } from "../../../packages/parsers/sglanghttp-parser/src/parse-sglang-request.ts";
import { parseVertexRequest } from "../../../packages/parsers/vertexai-parser/src/vertex-request.ts";
import { parseVllmRequest } from "../../../packages/parsers/vllmgrpc-parser/src/vllm-request.ts";
import { parseGenerateRequest } from "../../../packages/parsers/vllmhttp-parser/src/parse-generate-request.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { jsonText } from "../inputs/texts.ts";

type Parse = (path: string, body: Uint8Array) => ParsedRequest | RequestError;

/** The parser that an input's first byte chooses, and the path. */
const routes: readonly (readonly [Parse, string, "json" | "grpc"])[] = [
  [parseOpenAiRequest, "/v1/chat/completions", "json"],
  [parseOpenAiRequest, "/v1/completions", "json"],
  [parseOpenAiRequest, "/v1/embeddings", "json"],
  [parseOpenAiRequest, "/v1/responses", "json"],
  [parseOpenAiRequest, "/v1/conversations", "json"],
  [parseOpenAiRequest, "/v1/images/generations", "json"],
  [parseMessagesRequest, "/v1/messages", "json"],
  [parseMessagesRequest, "/v1/messages/count_tokens", "json"],
  [parseSglangRequest, "/generate", "json"],
  [parseGenerateRequest, "/inference/v1/generate", "json"],
  [parseVllmRequest, "/vllm.grpc.engine.VllmEngine/Generate", "grpc"],
  [parseVllmRequest, "/vllm.grpc.engine.VllmEngine/Embed", "grpc"],
  [parseVertexRequest, "/google.cloud.aiplatform.v1.PredictionService/ChatCompletions", "grpc"],
];

const keys = [
  ...["model", "stream", "messages", "role", "content", "type", "text", "prompt", "input", "tools", "system"],
  ...["max_tokens", "max_completion_tokens", "cache_salt", "image_url", "url", "input_ids", "token_ids", "features"],
  ...["conversation", "source", "data", "name", "sampling_params", "max_new_tokens", "__proto__"],
];
const whole = [
  '{"model":"m","messages":[{"role":"user","content":"hello"}],"max_tokens":5,"stream":true}',
  '{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:x"}}]}]}',
  '{"model":"m","prompt":[1,2,3]}',
  '{"model":"m","prompt":["a","b"],"cache_salt":"s"}',
  '{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]}],"max_output_tokens":3}',
  '{"model":"m","max_tokens":9,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"a"}]}',
  '{"text":"a","input_ids":[1,2],"sampling_params":{"max_new_tokens":4}}',
  '{"model":"m","token_ids":[1,2,3],"sampling_params":{"max_tokens":4},"features":{}}',
];

/** What an answer consists of, in text: two readings can be compared. */
function describe(parsed: ParsedRequest | RequestError): string {
  if (parsed instanceof RequestError) return `${parsed.code}: ${parsed.message}`;
  const segments = parsed
    .promptSegments()
    .map((list) =>
      list.map((part) => Buffer.from(part.kind === "text" ? part.bytes : part.reference).toString("latin1")),
    );
  const { model, stream, maxOutputTokens, cacheSalt } = parsed;
  const tokens = parsed.promptTokenIds()?.map((ids) => ids.join());
  const features = parsed.promptFeatures?.().map((list) => list.length);
  const rewritten = parsed.rewriteModel?.("other").map((part) => Buffer.from(part).toString("latin1"));
  return JSON.stringify([model, stream, maxOutputTokens, cacheSalt, segments, tokens, features, rewritten?.join("")]);
}

const target: FuzzTarget = {
  summary: "request bodies of every parser: no reader throws, and the bytes around a body change nothing",
  sample(random) {
    const choice = random.below(routes.length);
    const json = Buffer.from(random.oneIn(2) ? random.pick(whole) : jsonText(random, keys));
    if (routes[choice]![2] === "json") return Buffer.concat([Buffer.of(choice), json]);
    const inner = random.oneIn(2)
      ? Buffer.concat([Buffer.of(0x1a, json.length & 0x7f), json])
      : random.bytes(random.below(80));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(inner.length, 1);
    return Buffer.concat([Buffer.of(choice), head, inner]);
  },
  check(input) {
    const [parse, path] = routes[(input[0] ?? 0) % routes.length]!;
    const body = Buffer.from(input.subarray(1));
    const around = Buffer.concat([Buffer.from('"}]'), body, Buffer.from('"}]}')]);
    const once = describe(parse(path, body));
    const again = describe(parse(path, around.subarray(3, 3 + body.length)));
    if (once !== again) throw new Error(`alone: ${once}\nbetween other bytes: ${again}`);
  },
};
export default target;
