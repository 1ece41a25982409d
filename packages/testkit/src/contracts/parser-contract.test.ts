import {
  type AnyPluginDefinition,
  definePlugin,
  type ParsedRequest,
  type Parser,
  RequestError,
  type ResponseReader,
  type Usage,
} from "@pointsman/core";
import { AnswerReader, openAiAnswer, replaceModel } from "@pointsman/core/body";
import { get, scanJson, stringValue } from "@pointsman/core/json";
import { expect, test } from "vitest";
import { parserChecks } from "./parser-contract.ts";

// The contract holds for a sound parser, and each of its promises is broken by a parser made to break it.

function parse(_path: string, _headers: unknown, body: Uint8Array): ParsedRequest | RequestError {
  const document = scanJson(body);
  if (!document.ok || document.root.kind !== "object") return new RequestError("BadRequest", "no JSON object");
  const { root } = document;
  return {
    model: stringValue(get(root, "model")),
    stream: get(root, "stream")?.kind === "true",
    maxOutputTokens: undefined,
    cacheSalt: undefined,
    promptSegments: () => [],
    promptTokenIds: () => undefined,
    rewriteModel: (model) => replaceModel(root, model),
  };
}

const sound: Parser = {
  claims: ["v1/sound"],
  appProtocols: [],
  parseRequest: parse,
  responseReader: (_request, context) => new AnswerReader(context, openAiAnswer),
};

const restoreModel = { from: "base", to: "alias" };

async function broken(methods: Partial<Parser>): Promise<readonly string[]> {
  const definition: AnyPluginDefinition = definePlugin({
    type: "test-parser",
    kind: "parser",
    stability: "alpha",
    summary: "Parses in a test.",
    create: () => ({ ...sound, ...methods }),
  });
  const names: string[] = [];
  const checks = parserChecks(definition, {
    requests: [{ path: "/v1/sound", body: '{"model":"m","stream":true}' }],
    answers: [
      { streaming: false, body: '{"model":"base","usage":{"prompt_tokens":3,"completion_tokens":4}}', restoreModel },
      { streaming: true, body: 'data: {"model":"base","usage":{"prompt_tokens":3}}\n\n', restoreModel },
    ],
  });
  for (const { name, run } of checks) {
    try {
      await run();
    } catch {
      names.push(name);
    }
  }
  return names;
}

/** A reader that does `chunk` and reports `usage`. */
function reader(chunk: ResponseReader["chunk"], usage: () => Usage | undefined = () => undefined): Partial<Parser> {
  return {
    responseReader: () => ({
      events: 0,
      get usage() {
        return usage();
      },
      chunk,
    }),
  };
}

/** What the sound parser makes of a body, changed. */
function parsing(change: (parsed: ParsedRequest, body: Uint8Array) => ParsedRequest | RequestError): Partial<Parser> {
  return {
    parseRequest: (path, headers, body) => {
      const parsed = parse(path, headers, body);
      return parsed instanceof RequestError ? parsed : change(parsed, body);
    },
  };
}

const counts = (promptTokens: number): Usage => ({
  promptTokens,
  completionTokens: undefined,
  totalTokens: undefined,
  cachedTokens: undefined,
});

test("holds for a sound parser", async () => {
  expect(await broken({})).toEqual([]);
});

let last = 0;
let seen = 0;

test.each<[string, Partial<Parser>, string]>([
  ["a claim with a slash", { claims: ["/v1/sound"] }, "claims paths without slashes at their ends, each once"],
  ["a claim made twice", { claims: ["a", "a"] }, "claims paths without slashes at their ends, each once"],
  ["a refused sample", parsing(() => new RequestError("BadRequest", "no")), "accepts every sample"],
  [
    "JSON.parse without care",
    {
      parseRequest: (path, headers, body) => {
        JSON.parse(Buffer.from(body).toString());
        return parse(path, headers, body);
      },
    },
    "accepts or refuses any bytes with a text, and throws at none",
  ],
  [
    "an internal error for a bad body",
    {
      parseRequest: (path, headers, body) => {
        const parsed = parse(path, headers, body);
        return parsed instanceof RequestError ? new RequestError("Internal", parsed.message) : parsed;
      },
    },
    "accepts or refuses any bytes with a text, and throws at none",
  ],
  [
    "a limit that is no count",
    parsing((parsed) => ({ ...parsed, maxOutputTokens: -1 })),
    "accepts or refuses any bytes with a text, and throws at none",
  ],
  [
    "a body used as work space",
    parsing((parsed, body) => {
      body[0] = 0x20;
      return parsed;
    }),
    "changes no byte of a body",
  ],
  [
    "reading beyond the body",
    parsing((parsed, body) => ({ ...parsed, cacheSalt: String(new Uint8Array(body.buffer).length) })),
    "reads a body alike wherever it stands in memory, and whatever was parsed before",
  ],
  [
    "a memory of the body before",
    {
      parseRequest: (path, headers, body) => {
        const before = last;
        last = body.length;
        const parsed = parse(path, headers, body);
        return parsed instanceof RequestError ? parsed : { ...parsed, cacheSalt: String(before) };
      },
    },
    "reads a body alike wherever it stands in memory, and whatever was parsed before",
  ],
  [
    "a name that is not changed",
    parsing((parsed, body) => ({ ...parsed, rewriteModel: () => [body] })),
    "a body with another model's name is read with that name, and with the former name as before",
  ],
  [
    "a field lost with the name",
    parsing((parsed) => ({ ...parsed, rewriteModel: (model) => [Buffer.from(JSON.stringify({ model }))] })),
    "a body with another model's name is read with that name, and with the former name as before",
  ],
  [
    "white space that is trimmed",
    reader((bytes) => Buffer.from(Buffer.from(bytes).toString("latin1").trim(), "latin1")),
    "an answer without a name to restore passes unchanged, however it is cut",
  ],
  [
    "bytes read as text",
    reader((bytes) => Buffer.from(Buffer.from(bytes).toString())),
    "an answer without a name to restore passes unchanged, however it is cut",
  ],
  [
    "usage counted by chunk",
    {
      responseReader: () => {
        let chunks = 0;
        return {
          events: 0,
          get usage() {
            return counts(chunks);
          },
          chunk: (bytes) => {
            chunks++;
            return bytes;
          },
        };
      },
    },
    "usage, events and restored bytes do not depend on where an answer is cut",
  ],
  [
    "a name replaced within a chunk only",
    {
      responseReader: (_request, { restoreModel }) => ({
        usage: undefined,
        events: 0,
        chunk: (bytes) =>
          restoreModel === undefined
            ? bytes
            : Buffer.from(Buffer.from(bytes).toString("latin1").replace(restoreModel.from, restoreModel.to), "latin1"),
      }),
    },
    "a sample's usage and name are found when it comes byte by byte, and in two pieces cut anywhere",
  ],
  [
    "a name that is not restored",
    reader((bytes) => bytes),
    "a sample's usage and name are found when it comes byte by byte, and in two pieces cut anywhere",
  ],
  [
    "a chunk that is kept and not copied",
    {
      responseReader: () => {
        const kept: Uint8Array[] = [];
        let sum = 0;
        return {
          events: 0,
          get usage() {
            return counts(sum);
          },
          chunk: (bytes, endOfStream) => {
            kept.push(bytes);
            if (endOfStream) sum = Buffer.concat(kept).reduce((total, byte) => total + byte, 0);
            return bytes;
          },
        };
      },
    },
    "usage, events and restored bytes do not depend on where an answer is cut",
  ],
  [
    "usage that is no count",
    reader(
      (bytes) => bytes,
      () => counts(Number.NaN),
    ),
    "counts in usage are whole numbers from 0 on, or unknown",
  ],
  [
    "one state for all answers",
    reader(
      (bytes) => {
        seen += bytes.length;
        return bytes;
      },
      () => counts(seen),
    ),
    "two answers that pass at the same time do not mix",
  ],
])("fails for %s", async (_what, methods, promise) => {
  expect(await broken(methods)).toContain(promise);
});
