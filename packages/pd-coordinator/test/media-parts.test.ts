import { expect, test } from "vitest";
import { Bench } from "./support/bench.ts";
import { chat, completion, prefilled, renderedImages } from "./support/bodies.ts";
import { images } from "./support/image-server.ts";

const answers = { render: renderedImages, encode: {}, prefill: prefilled, decode: completion };
const withParts = (...parts: readonly unknown[]): Record<string, unknown> => ({
  ...chat,
  messages: [{ role: "user", content: parts }],
});
const contentOf = (body: Record<string, unknown>): readonly Record<string, unknown>[] =>
  (body["messages"] as { content: Record<string, unknown>[] }[])[0]!.content;

// What vLLM fetches beside {"type":"image_url","image_url":{"url":"..."}}.
test.each([
  ["a text without a type", (url: string) => ({ image_url: url })],
  ["an object without a type", (url: string) => ({ type: null, image_url: { url } })],
  ["an input_image", (url: string) => ({ type: "input_image", image_url: url })],
  ["a text with a uuid", (url: string) => ({ type: "image_url", image_url: url, uuid: "u" })],
])("an image as %s is fetched, encoded and named like any other", async (_what, part) => {
  const asked: string[] = [];
  const url = await images((req, res) => {
    asked.push(req.url ?? "");
    res.writeHead(200, { "content-type": "image/png" }).end("x");
  });
  const bench = await Bench.start({ answers });
  const answer = await bench.post(withParts(part(url("/a")), part(url("/b"))));
  expect(answer.status, answer.text).toBe(200);
  const inline = "data:image/png;base64,eA==";
  expect(asked.sort()).toEqual(["/a", "/b"]);
  const { gateway } = bench;
  expect(contentOf(gateway.only("render").json)).toEqual([part(inline), part(inline)]);
  for (const encode of gateway.of("encode")) {
    expect(contentOf(encode.json)).toEqual([{ type: "image_url", image_url: { url: inline } }]);
  }
  expect(contentOf(gateway.only("decode").json)).toEqual([
    { ...part(inline), uuid: "h1" },
    { ...part(inline), uuid: "h2" },
  ]);
});

test("none of these shapes passes the guard of addresses", async () => {
  const bench = await Bench.start({ answers });
  const url = "http://169.254.169.254/latest";
  for (const part of [{ image_url: url }, { type: "input_image", image_url: url }]) {
    const refused = await bench.post(withParts(part));
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining("must not be reached")]);
  }
  expect(bench.gateway.seen).toEqual([]);
});

const url = "http://images.test/a";
test.each([
  ["an image in a part of another type", { type: "text", text: "x", image_url: { url }, uuid: "u" }, "image_url"],
  ["an image in a part whose type is no text", { type: 5, image_url: url, uuid: "u" }, "image_url"],
  ["an image in a list", { image_url: [url] }, "image_url"],
  ["an image in an object without a URL", { type: "image_url", image_url: { uri: url } }, "image_url"],
  ["a video", { type: "video_url", video_url: { url } }, "video_url"],
  ["a video without a type", { video_url: url }, "video_url"],
  ["a sound", { type: "audio_url", audio_url: { url } }, "audio_url"],
  ["a file", { type: "audio_url", audio_url: { url: "file:///etc/passwd" } }, "audio_url"],
])("%s that a server would fetch itself is a 400 that says where it is", async (_what, part, member) => {
  const bench = await Bench.start({ answers });
  const body = {
    ...chat,
    messages: [{ role: "user", content: "hi" }, ...[withParts({ type: "text", text: "x" }, part)["messages"]].flat()],
  };
  const refused = await bench.post(body, { "x-request-id": "r" });
  expect([refused.status, bench.gateway.seen]).toEqual([400, []]);
  expect(refused.text).toMatch(
    new RegExp(`^bad request \\(request_id: r\\): messages\\[1\\]\\.content\\[1\\]: ${member} is `),
  );
  const labels = { phase: "replace-media-urls", reason: "part" };
  expect(await bench.metric("pd_coordinator_phase_failures_total", labels)).toBe(1);
});

test("videos and sounds that are data URLs pass, and so do parts that name nothing", async () => {
  const bench = await Bench.start({
    answers: { ...answers, render: { body: { token_ids: [1] } } },
  });
  const parts = [
    { type: "video_url", video_url: { url: "data:video/mp4;base64,AAAA" } },
    { audio_url: "data:audio/wav;base64,AAAA" },
    { type: "video_url", video_url: null, uuid: "u" },
    { type: "text", text: "x", image_url: null },
  ];
  const answer = await bench.post(withParts(...parts));
  expect(answer.status, answer.text).toBe(200);
  expect(contentOf(bench.gateway.only("render").json)).toEqual(parts);
});
