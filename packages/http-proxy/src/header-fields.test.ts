import { Headers } from "@pointsman/core";
import { expect, test } from "vitest";
import { listedByConnection, mutatedFields, parseField, trailerLines } from "./header-fields.ts";

const refuse = (name: string): never => {
  throw new Error(`refused ${name}`);
};

test("a mutation removes, then sets, and sets once for all repeats of a name", () => {
  const headers = Headers.from([
    [":path", "/"],
    ["a", "1"],
    ["b", "2"],
    ["a", "3"],
    ["content-length", "9"],
    ["c", "4"],
  ]);
  const mutation = {
    remove: ["b", "c"],
    set: [
      ["A", "5"],
      ["C", "6"],
      ["Content-Length", "7"],
    ] as const,
  };
  expect(mutatedFields(headers, mutation, refuse)).toEqual(["a", "5", "c", "6"]);
});

test("without a mutation, headers keep their order and repeats", () => {
  const headers = Headers.from([
    ["set-cookie", "a"],
    ["x", "y"],
    ["set-cookie", "b"],
  ]);
  expect(mutatedFields(headers, undefined, refuse)).toEqual(["set-cookie", "a", "x", "y", "set-cookie", "b"]);
});

test("what HTTP forbids is left out and named, and leaves the client's header of that name", () => {
  const refused: string[] = [];
  const mutation = {
    remove: [],
    set: [
      ["x-split", "a\r\nx-evil: 1"],
      ["x-nul", "\0"],
      ["bad name", "1"],
      [":path", "/other"],
      ["transfer-encoding", "chunked"],
      ["Trailer", "x-sum"],
      ["x-good", "1"],
    ] as const,
  };
  const fields = mutatedFields(Headers.from([["x-nul", "kept"]]), mutation, (name) => refused.push(name));
  expect(fields).toEqual(["x-nul", "kept", "x-good", "1"]);
  expect(refused).toEqual(["x-split", "x-nul", "bad name", ":path", "transfer-encoding", "Trailer"]);
});

test("text beyond one byte per character goes as UTF-8", () => {
  const fields = mutatedFields(new Headers(), { remove: [], set: [["x-model", "模"]] }, refuse);
  expect(Buffer.from(fields[1]!, "latin1").toString("utf8")).toBe("模");
});

test("names listed by Connection are found, the usual two are not", () => {
  expect(listedByConnection(undefined)).toBeUndefined();
  expect(listedByConnection("Keep-Alive, close,")).toBeUndefined();
  expect(listedByConnection("close, X-A ,x-b")).toEqual(new Set(["x-a", "x-b"]));
});

test("a value of many blanks is read in linear time", () => {
  const value = `a${" ".repeat(200_000)}b`;
  expect(parseField(`x:${" ".repeat(200_000)}${value}\t`)).toEqual(["x", value]);
});

test("trailers that could change the message do not pass", () => {
  const lines = trailerLines(
    [
      ["X-Sum", "1"],
      ["Content-Length", "5"],
      ["Transfer-Encoding", "chunked"],
      ["Authorization", "x"],
      ["x-split", "a\r\nb"],
      ["x-control", "1"],
    ],
    new Set(["x-control"]),
  );
  expect(lines).toBe("x-sum: 1\r\n");
});
