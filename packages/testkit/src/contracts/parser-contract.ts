import {
  type AnyPluginDefinition,
  Headers,
  hasRole,
  type ParsedRequest,
  type Parser,
  RequestError,
  type ResponseContext,
  type ResponseReader,
  type Usage,
} from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { type BuildPluginOptions, buildPlugin } from "../builders.ts";
import { type ContractCheck, registerChecks } from "./contract-check.ts";

/** A request that the parser under test accepts. */
export interface RequestSample {
  /** Without query string. */
  readonly path: string;
  readonly body: string | Uint8Array;
}

/** An answer as a model server gives it. */
export interface AnswerSample {
  readonly streaming: boolean;
  readonly body: string | Uint8Array;
  /** A change that the parser makes in this answer where it names the model. Absent where it makes none. */
  readonly restoreModel?: { readonly from: string; readonly to: string };
}

/** What {@link parserContract} takes beside the definition. */
export interface ParserContractOptions extends BuildPluginOptions {
  /** At least one for each format of requests. */
  readonly requests: readonly RequestSample[];
  /** At least one for each format of answers. */
  readonly answers: readonly AnswerSample[];
}

/** Registers the tests every parser must pass. Call it at the top of a test file. */
export function parserContract(definition: AnyPluginDefinition, options: ParserContractOptions): void {
  registerChecks(`parser contract of ${definition.type}`, parserChecks(definition, options));
}

const anotherModel = 'other/"model" é';
const unnamed = { from: "a name that no sample has", to: "another" };

/** The tests of {@link parserContract}, for those who run them another way. */
export function parserChecks(
  definition: AnyPluginDefinition,
  options: ParserContractOptions,
): readonly ContractCheck[] {
  const { requests, answers, ...build } = options;
  const newParser = (): Parser => parserOf(definition, build);
  const sampleRequest = fc.constantFrom(...requests);
  const sampleAnswer = fc.constantFrom(...answers);
  const hostileRequest = fc.record({
    path: sampleRequest.map(({ path }) => path),
    body: hostileBytes(requests.map(({ body }) => bytesOf(body))),
  });
  const answerBytes = fc.oneof(
    fc.tuple(sampleAnswer, fc.constant(undefined)),
    fc.tuple(sampleAnswer, hostileBytes(answers.map(({ body }) => bytesOf(body)))),
  );
  const cuts = fc.array(fc.nat(), { maxLength: 12 });

  return [
    {
      name: "claims paths without slashes at their ends, each once",
      run: () => {
        const { claims } = newParser();
        for (const claim of claims) expect(claim).toMatch(/^[^/](.*[^/])?$/);
        expect(new Set(claims).size).toBe(claims.length);
      },
    },
    {
      name: "accepts every sample",
      run: () => {
        const parser = newParser();
        for (const { path, body } of requests) {
          const parsed = parser.parseRequest(path, new Headers(), bytesOf(body));
          expect(parsed instanceof RequestError ? parsed.message : undefined, `${path} ${text(body)}`).toBeUndefined();
        }
      },
    },
    {
      name: "accepts or refuses any bytes with a text, and throws at none",
      run: () => {
        const parser = newParser();
        fc.assert(
          fc.property(hostileRequest, ({ path, body }) => {
            const parsed = parser.parseRequest(path, new Headers(), body);
            if (parsed instanceof RequestError) {
              expect(parsed.httpStatus).toBe(400);
              expect(parsed.message).not.toBe("");
            } else imprintOf(parsed);
          }),
          { numRuns: 500 },
        );
      },
    },
    {
      name: "changes no byte of a body",
      run: () => {
        const parser = newParser();
        fc.assert(
          fc.property(fc.oneof(sampleRequest, hostileRequest), ({ path, body }) => {
            const given = bytesOf(body);
            const before = Buffer.from(given);
            const parsed = parser.parseRequest(path, new Headers(), given);
            if (!(parsed instanceof RequestError)) imprintOf(parsed);
            expect(before.equals(given)).toBe(true);
          }),
        );
      },
    },
    {
      name: "reads a body alike wherever it stands in memory, and whatever was parsed before",
      run: () => {
        const parser = newParser();
        fc.assert(
          fc.property(fc.oneof(sampleRequest, hostileRequest), hostileRequest, fc.nat(9), (one, other, offset) => {
            const given = bytesOf(one.body);
            const around = Buffer.alloc(given.length + offset + 5, '"');
            around.set(given, offset);
            const moved = around.subarray(offset, offset + given.length);
            const expected = outcomeOf(newParser().parseRequest(one.path, new Headers(), given));
            parser.parseRequest(other.path, new Headers(), other.body);
            expect(outcomeOf(parser.parseRequest(one.path, new Headers(), moved))).toEqual(expected);
          }),
        );
      },
    },
    {
      name: "a body with another model's name is read with that name, and with the former name as before",
      run: () => {
        const parser = newParser();
        for (const { path, body } of requests) {
          const parsed = parser.parseRequest(path, new Headers(), bytesOf(body));
          if (parsed instanceof RequestError || parsed.rewriteModel === undefined) continue;
          const renamed = requestOf(
            parser.parseRequest(path, new Headers(), Buffer.concat(parsed.rewriteModel(anotherModel))),
          );
          expect(renamed.model).toBe(anotherModel);
          expect(imprintOf({ ...fieldsOf(renamed), model: parsed.model })).toEqual(imprintOf(fieldsOf(parsed)));
          if (parsed.model === undefined) continue;
          const back = requestOf(
            parser.parseRequest(path, new Headers(), Buffer.concat(renamed.rewriteModel?.(parsed.model) ?? [])),
          );
          expect(imprintOf(back)).toEqual(imprintOf(parsed));
        }
      },
    },
    {
      name: "an answer without a name to restore passes unchanged, however it is cut",
      run: () => {
        const parser = newParser();
        fc.assert(
          fc.property(answerBytes, cuts, fc.boolean(), ([{ streaming, body }, hostile], places, foreign) => {
            const bytes = hostile ?? bytesOf(body);
            const context = foreign ? { streaming, restoreModel: unnamed } : { streaming };
            expect(read(parser, bytes, places, context).sent).toBe(latin1(bytes));
          }),
        );
      },
    },
    {
      name: "usage, events and restored bytes do not depend on where an answer is cut",
      run: () => {
        const parser = newParser();
        fc.assert(
          fc.property(answerBytes, cuts, ([{ streaming, body, restoreModel }, hostile], places) => {
            const bytes = hostile ?? bytesOf(body);
            const context = { streaming, restoreModel };
            expect(read(parser, bytes, places, context)).toEqual(read(parser, bytes, [], context));
          }),
          { numRuns: 300 },
        );
      },
    },
    {
      name: "a sample's usage and name are found when it comes byte by byte, and in two pieces cut anywhere",
      run: () => {
        const parser = newParser();
        for (const { streaming, body, restoreModel } of answers) {
          const bytes = bytesOf(body);
          const context = { streaming, restoreModel };
          const whole = read(parser, bytes, [], context);
          if (restoreModel !== undefined) expect(whole.sent, text(body)).not.toBe(latin1(bytes));
          const all = Array.from({ length: bytes.length }, (_, i) => i);
          expect(read(parser, bytes, all, context)).toEqual(whole);
          for (const place of all) expect(read(parser, bytes, [place], context)).toEqual(whole);
        }
      },
    },
    {
      name: "counts in usage are whole numbers from 0 on, or unknown",
      run: () => {
        const parser = newParser();
        fc.assert(
          fc.property(answerBytes, ([{ streaming, body }, hostile]) => {
            const { usage, events } = read(parser, hostile ?? bytesOf(body), [], { streaming });
            for (const count of [events, ...Object.values(usage ?? {})]) {
              if (count !== undefined) expect(Number.isSafeInteger(count) && count >= 0, `${count}`).toBe(true);
            }
          }),
        );
      },
    },
    {
      name: "two answers that pass at the same time do not mix",
      run: () => {
        const parser = newParser();
        fc.assert(
          fc.property(sampleAnswer, sampleAnswer, fc.nat(), (one, other, place) => {
            const alone = read(parser, bytesOf(one.body), [], one);
            const first = cut(bytesOf(one.body), [place]);
            const second = cut(bytesOf(other.body), [place]);
            const readers = [one, other].map((answer) => parser.responseReader(undefined, contextOf(answer)));
            const sent: Uint8Array[] = [];
            first.forEach((bytes, i) => {
              sent.push(Buffer.from(readers[0]!.chunk(Buffer.from(bytes), i === first.length - 1)));
              readers[1]!.chunk(Buffer.from(second[i]!), i === second.length - 1);
            });
            expect(readingOf(readers[0]!, sent)).toEqual(alone);
          }),
        );
      },
    },
  ];
}

function parserOf(definition: AnyPluginDefinition, build: BuildPluginOptions): Parser {
  const { instance } = buildPlugin(definition, build);
  if (!hasRole(instance, "parser")) throw new Error("the instance has no method `parseRequest`");
  return instance;
}

/** Bytes of any kind, and samples that are cut off, repeated in part, or have bytes replaced. */
function hostileBytes(samples: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const sample = fc.constantFrom(...samples);
  return fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.tuple(sample, fc.nat()).map(([bytes, length]) => bytes.slice(0, length % (bytes.length + 1))),
    fc.tuple(sample, fc.nat(), fc.nat()).map(([bytes, a, b]) => {
      const from = Math.min(a % (bytes.length + 1), b % (bytes.length + 1));
      const to = Math.max(a % (bytes.length + 1), b % (bytes.length + 1));
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
    }),
    fc.tuple(sample, fc.array(fc.tuple(fc.nat(), hostileByte), { maxLength: 4 })).map(([bytes, changes]) => {
      const changed = Buffer.from(bytes);
      for (const [place, byte] of changes) if (changed.length > 0) changed[place % changed.length] = byte;
      return changed;
    }),
  );
}

const hostileByte = fc.oneof(fc.constantFrom(...Buffer.from('{}[]",:\\0-.e \n\r')), fc.nat(255));

interface Reading {
  /** All bytes sent on, as Latin-1. */
  readonly sent: string;
  readonly usage: Usage | undefined;
  readonly events: number;
}

type AnswerContext = Pick<AnswerSample, "streaming"> & {
  readonly restoreModel?: ResponseContext["restoreModel"];
};

function contextOf({ streaming, restoreModel }: AnswerContext): ResponseContext {
  return { headers: new Headers(), streaming, restoreModel };
}

/** Sends an answer in pieces. */
function read(parser: Parser, bytes: Uint8Array, places: readonly number[], context: AnswerContext): Reading {
  const reader = parser.responseReader(undefined, contextOf(context));
  const pieces = cut(bytes, places);
  const sent = pieces.map((piece, i) => {
    // Each piece in memory of its own that is overwritten after, so that nothing may depend on it.
    const chunk = Buffer.from(piece);
    const out = Buffer.from(reader.chunk(chunk, i === pieces.length - 1));
    expect(chunk.equals(piece), "changes the chunk it is given").toBe(true);
    chunk.fill(0);
    return out;
  });
  return readingOf(reader, sent);
}

function readingOf(reader: ResponseReader, sent: readonly Uint8Array[]): Reading {
  return { sent: Buffer.concat(sent).toString("latin1"), usage: reader.usage, events: reader.events };
}

function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b);
  return [...sorted, bytes.length].map((end, i) => bytes.subarray(sorted[i - 1] ?? 0, end));
}

function requestOf(parsed: ParsedRequest | RequestError): ParsedRequest {
  if (parsed instanceof RequestError) throw new Error(`refused: ${parsed.message}`);
  return parsed;
}

function outcomeOf(parsed: ParsedRequest | RequestError): unknown {
  return parsed instanceof RequestError ? parsed.body : imprintOf(parsed);
}

/** The request without the way to change its name, whose bytes differ when the name does. */
function fieldsOf(parsed: ParsedRequest): ParsedRequest {
  const { model, stream, maxOutputTokens, cacheSalt, skipResponse } = parsed;
  return {
    ...{ model, stream, maxOutputTokens, cacheSalt },
    promptSegments: () => parsed.promptSegments(),
    promptTokenIds: () => parsed.promptTokenIds(),
    promptFeatures: () => parsed.promptFeatures?.() ?? [],
    ...(skipResponse === undefined ? {} : { skipResponse }),
  };
}

/** Reads all there is of a request, and checks what every reader relies on. */
function imprintOf(parsed: ParsedRequest): unknown {
  const { model, stream, maxOutputTokens, cacheSalt } = parsed;
  expect(["string", "undefined"]).toContain(typeof model);
  expect(typeof stream).toBe("boolean");
  expect(["string", "undefined"]).toContain(typeof cacheSalt);
  if (maxOutputTokens !== undefined) expect(Number.isSafeInteger(maxOutputTokens) && maxOutputTokens >= 0).toBe(true);
  const tokenIds = parsed.promptTokenIds();
  const features = parsed.promptFeatures?.();
  if (features !== undefined && features.length > 0) expect(features.length).toBe(tokenIds?.length);
  return {
    ...{ model, stream, maxOutputTokens, cacheSalt, skipResponse: parsed.skipResponse ?? false },
    segments: parsed
      .promptSegments()
      .map((segments) =>
        segments.map((segment) =>
          segment.kind === "text" ? latin1(segment.bytes) : `${segment.modality}: ${latin1(segment.reference)}`,
        ),
      ),
    tokenIds: tokenIds?.map((ids) => [...ids]),
    features,
    rewritten: latin1(Buffer.concat(parsed.rewriteModel?.(anotherModel) ?? [])),
  };
}

function bytesOf(body: string | Uint8Array): Uint8Array {
  return typeof body === "string" ? Buffer.from(body) : body;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function text(body: string | Uint8Array): string {
  return typeof body === "string" ? body : latin1(body);
}
