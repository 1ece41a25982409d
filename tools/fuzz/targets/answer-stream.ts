import { type AnswerFormat, AnswerReader, openAiAnswer } from "../../../packages/core/src/body/index.ts";
import { Headers, type ResponseReader, type Usage } from "../../../packages/core/src/index.ts";
import { anthropicAnswer } from "../../../packages/parsers/anthropic-parser/src/anthropic-answer.ts";
import { sglangAnswer } from "../../../packages/parsers/sglanghttp-parser/src/sglang-answer.ts";
import { VertexResponseReader } from "../../../packages/parsers/vertexai-parser/src/vertex-response-reader.ts";
import { VllmResponseReader } from "../../../packages/parsers/vllmgrpc-parser/src/vllm-response-reader.ts";
import { FuzzRandom } from "../fuzz-random.ts";
import { cutBytes, type FuzzTarget } from "../fuzz-target.ts";
import { jsonText } from "../inputs/texts.ts";

const formats: readonly AnswerFormat[] = [openAiAnswer, anthropicAnswer, sglangAnswer];
const restoreModel = { from: "org/base-8b", to: 'my "model"' };

/** The reader that an input's first byte chooses. */
function readerOf(
  choice: number,
  ignoresEvents = false,
): { readonly reader: ResponseReader; readonly keepsBytes: boolean } {
  if (choice % 8 === 7) return { reader: new VllmResponseReader(), keepsBytes: true };
  if (choice % 8 === 6) return { reader: new VertexResponseReader(choice >= 128), keepsBytes: true };
  const restores = (choice & 64) !== 0;
  const reader = new AnswerReader(
    {
      headers: new Headers(),
      streaming: (choice & 128) !== 0,
      restoreModel: restores ? restoreModel : undefined,
      ignoresEvents,
    },
    formats[choice % formats.length]!,
  );
  return { reader, keepsBytes: !restores };
}

interface Reading {
  readonly text: string;
  readonly usage: Usage | undefined;
  readonly events: number;
}

function read(choice: number, pieces: readonly Buffer[], ignoresEvents = false): Reading {
  const { reader } = readerOf(choice, ignoresEvents);
  let text = "";
  pieces.forEach((piece, at) => {
    text += Buffer.from(reader.chunk(piece, at === pieces.length - 1)).toString("latin1");
    // Nothing may depend on bytes that were handed over.
    piece.fill(0x22);
  });
  return { text, usage: reader.usage, events: reader.events };
}

const keys = [
  "usage",
  "model",
  "response",
  "message",
  "type",
  "meta_info",
  "finish_reason",
  "prompt_tokens",
  "completion_tokens",
  "input_tokens",
  "output_tokens",
  "total_tokens",
  "cached_tokens",
  "prompt_tokens_details",
  "id",
];
const whole = [
  '{"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":3}}}',
  '{"model":"org/base-8b","choices":[{"delta":{"content":"org/base-8b"}}]}',
  '{"type":"message_start","message":{"model":"org/base-8b","usage":{"input_tokens":5,"output_tokens":1}}}',
  '{"type":"message_delta","usage":{"output_tokens":9}}',
  '{"text":"a","meta_info":{"prompt_tokens":3,"completion_tokens":2,"finish_reason":{"type":"stop"}}}',
  '{"response":{"model":"org\\/base-8b","usage":{"input_tokens":1}}}',
  "[DONE]",
];

const target: FuzzTarget = {
  summary:
    "answers as JSON, event streams and gRPC: text, usage and events are the same however they are cut and counted",
  sample(random) {
    const choice = Buffer.of(random.below(256));
    if (choice[0]! % 8 >= 6) {
      const frames = random.list(5, () => {
        const body = random.oneIn(2) ? Buffer.from(`\x12${"\x05"}data:`) : random.bytes(random.below(60));
        return Buffer.concat([Buffer.of(0, 0, 0, 0, body.length), body]);
      });
      return Buffer.concat([choice, ...frames]);
    }
    const one = (): string => (random.oneIn(2) ? random.pick(whole) : jsonText(random, keys));
    if (choice[0]! < 128) return Buffer.concat([choice, Buffer.from(one())]);
    const end = random.pick(["\n\n", "\r\n\r\n", "\n", "\n\n\n"]);
    const events = random.list(10, () =>
      random.oneIn(6)
        ? random.pick([": ping\n\n", "event: x\n", "retry: 1\n", "data:\n", "data"])
        : `data:${random.pick([" ", "", "  "])}${one()}${end}`,
    );
    return Buffer.concat([choice, Buffer.from(events.join(""))]);
  },
  check(input) {
    const choice = input[0] ?? 0;
    const body = Buffer.from(input.subarray(1));
    const once = read(choice, [Buffer.from(body)]);
    const cut = read(choice, cutBytes(body, FuzzRandom.of(input)));
    const uncounted = read(choice, cutBytes(body, FuzzRandom.of(input)), true);
    if (JSON.stringify([uncounted.text, uncounted.usage]) !== JSON.stringify([once.text, once.usage])) {
      throw new Error(`whole: ${JSON.stringify(once)}\nevents not counted: ${JSON.stringify(uncounted)}`);
    }
    if (JSON.stringify(once) !== JSON.stringify(cut)) {
      throw new Error(`whole: ${JSON.stringify(once)}\nin pieces: ${JSON.stringify(cut)}`);
    }
    if (readerOf(choice).keepsBytes && once.text !== body.toString("latin1")) throw new Error("bytes were changed");
  },
};
export default target;
