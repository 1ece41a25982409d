import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ApiKind } from "./api-kind.ts";
import { usageRewriter } from "./usage-rewriter.ts";

function through(api: ApiKind, contentType: string | undefined, parts: readonly Buffer[]): string {
  const rewriter = usageRewriter(api, Buffer.from("7"), contentType);
  const out = parts.flatMap((part) => [...rewriter.push(part)]);
  return Buffer.concat([...out, ...rewriter.finish()]).toString();
}

/** Cuts a text at the places given. */
function pieces(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

describe("a JSON reply", () => {
  test.each([
    [
      "chat_completions",
      '{"usage":{"prompt_tokens":9}}',
      '{"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":7}}}',
    ],
    [
      "chat_completions",
      '{"usage":{"prompt_tokens_details":{"cached_tokens":49,"x":1}},"n":12345678901234567890}',
      '{"usage":{"prompt_tokens_details":{"cached_tokens":7,"x":1}},"n":12345678901234567890}',
    ],
    [
      "chat_completions",
      '{"usage":{"prompt_tokens_details":null}}',
      '{"usage":{"prompt_tokens_details":{"cached_tokens":7}}}',
    ],
    ["chat_completions", '{"usage":null}', '{"usage":null}'],
    ["chat_completions", '{"id":"<&>"}', '{"id":"<&>"}'],
    ["chat_completions", "no json", "no json"],
    [
      "responses",
      '{"usage":{"input_tokens_details":{"cached_tokens":1}}}',
      '{"usage":{"input_tokens_details":{"cached_tokens":7}}}',
    ],
    ["messages", '{"usage":{"cache_read_input_tokens":0}}', '{"usage":{"cache_read_input_tokens":7}}'],
    ["messages", '{"usage":{"input_tokens":9}}', '{"usage":{"input_tokens":9}}'],
  ] as const)("%s: %s", (api, text, expected) => {
    expect(through(api, "application/json", pieces(text, [3, 11]))).toBe(expected);
  });
});

describe("a stream", () => {
  test("only data lines with a usage report change; [DONE], comments and other lines pass", () => {
    const text = 'event: x\n: "usage"\ndata: {"a":1}\n\ndata: {"usage":{"n":1}}\r\n\ndata: [DONE]\n\n';
    const changed = text.replace('{"n":1}', '{"n":1,"prompt_tokens_details":{"cached_tokens":7}}');
    expect(through("chat_completions", "text/event-stream; charset=utf-8", [Buffer.from(text)])).toBe(changed);
  });

  test("a body that starts as a stream is one, whatever its type", () => {
    expect(through("chat_completions", undefined, [Buffer.from('data: {"usage":{}}\n\n')])).toBe(
      'data: {"usage":{"prompt_tokens_details":{"cached_tokens":7}}}\n\n',
    );
  });

  test("events of the Responses and the Messages API carry the report inside", () => {
    expect(
      through("responses", "text/event-stream", [
        Buffer.from('data: {"type":"response.completed","response":{"usage":{"input_tokens":1}}}\n\n'),
      ]),
    ).toBe(
      'data: {"type":"response.completed","response":{"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":7}}}}\n\n',
    );
    expect(
      through("messages", "text/event-stream", [
        Buffer.from('data: {"type":"message_start","message":{"usage":{"cache_read_input_tokens":0}}}\n\n'),
      ]),
    ).toBe('data: {"type":"message_start","message":{"usage":{"cache_read_input_tokens":7}}}\n\n');
  });

  test("where a stream is cut does not matter, nor whether its last line ends", () => {
    const lines = fc.array(
      fc.constantFrom(
        'data: {"usage":{"prompt_tokens":3}}',
        "data: [DONE]",
        'data: {"choices":[]}',
        "",
        ": x",
        'data: {"usage"',
      ),
    );
    fc.assert(
      fc.property(lines, fc.array(fc.nat()), fc.boolean(), (list, cuts, ended) => {
        const text = list.join("\n") + (ended ? "\n" : "");
        const expected = text.replaceAll(
          '{"prompt_tokens":3}',
          '{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":7}}',
        );
        expect(through("chat_completions", "text/event-stream", pieces(text, cuts))).toBe(expected);
      }),
    );
  });

  test("a line is passed as soon as it is complete", () => {
    const rewriter = usageRewriter("chat_completions", Buffer.from("7"), "text/event-stream");
    expect(Buffer.concat(rewriter.push(Buffer.from("data: 1\n\ndata: 2"))).toString()).toBe("data: 1\n\n");
    expect(Buffer.concat(rewriter.push(Buffer.from("\n\n"))).toString()).toBe("data: 2\n\n");
  });
});
