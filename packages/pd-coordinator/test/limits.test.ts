import type { RequestListener, ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { Bench, testNetwork, until } from "./support/bench.ts";
import { chat, completion, imageChat, prefilled, rendered, renderedImages } from "./support/bodies.ts";
import { type Answer, hang, send } from "./support/fake-gateway.ts";
import { images } from "./support/image-server.ts";

const answers = { render: renderedImages, encode: {}, prefill: prefilled, decode: completion };
const mediaSteps = (params: string): string => `
    - {type: replace-media-urls, params: {${params}}}
    - {type: render, params: {address: RENDER}}
    - {type: prefill}
    - {type: decode}
`;

const reasons = (bench: Bench, reason: string): Promise<number> =>
  bench.metric("pd_coordinator_phase_failures_total", { phase: "replace-media-urls", reason });

test.each([
  [
    "announced",
    (size: number): RequestListener =>
      (_req, res) =>
        void res.writeHead(200, { "content-length": size }).end(Buffer.alloc(size)),
  ],
  [
    "not announced",
    (size: number): RequestListener =>
      (_req, res) =>
        void res.write(Buffer.alloc(size), () => res.end()),
  ],
])("an image above max_download_size, its size %s, is a 400", async (_how, listener) => {
  const bench = await Bench.start({ answers, steps: mediaSteps("max_download_size: 1") });
  const url = await images(listener(1024 * 1024 + 1));
  expect((await bench.post(imageChat([url("/a"), url("/b")]))).status).toBe(400);
  expect(await reasons(bench, "too-large")).toBe(1);
});

test("images above max_total_download_size together are a 400, an image counted as often as it is named and fetched once", async () => {
  const asked: string[] = [];
  const url = await images((req, res) => {
    asked.push(req.url ?? "");
    res.end(Buffer.alloc(400 * 1024));
  });
  const bench = await Bench.start({ answers, steps: mediaSteps("max_total_download_size: 1") });
  expect((await bench.post(imageChat([url("/a"), url("/a")]))).status).toBe(200);
  expect(asked).toEqual(["/a"]);
  for (const named of [
    ["/a", "/b", "/c"],
    ["/a", "/a", "/a"],
    ["/a", "/a", "/b"],
  ]) {
    const refused = await bench.post(imageChat(named.map(url)), { "x-request-id": "r" });
    expect([refused.status, refused.text]).toEqual([
      400,
      "bad request (request_id: r): the images exceed 1048576 bytes together, each counted as often as it is named\n",
    ]);
  }
  expect(await reasons(bench, "too-large")).toBe(3);
});

test("a thousand parts that name one image below the limit of one are a 400, and are not put together", async () => {
  const url = await images((_req, res) => void res.end(Buffer.alloc(1024 * 1024)));
  const bench = await Bench.start({ answers, steps: mediaSteps("") });
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }, 1);
  const refused = await bench.post(imageChat(Array.from({ length: 1000 }, () => url("/a"))));
  clearInterval(watch);
  expect(refused.status).toBe(400);
  expect(refused.text).toContain("the images exceed 67108864 bytes together");
  expect(await bench.metric("pd_coordinator_downloaded_bytes_total")).toBe(0);
  expect(most).toBeLessThan(64 * 1024 * 1024);
});

test("an image that fails is named by its place among all images, where it is named first", async () => {
  const url = await images((req, res) => void res.writeHead(req.url === "/a" ? 200 : 302).end("x"));
  const bench = await Bench.start({
    answers,
    steps: mediaSteps("max_concurrent_downloads: 1, allowed_domains: [images.test]"),
  });
  const refused = await bench.post(imageChat(["data:image/png;base64,AAAA", url("/a"), url("/a"), "http://x.test/"]), {
    "x-request-id": "r",
  });
  expect(refused.text).toBe("bad request (request_id: r): image 3: the host is not an allowed one\n");
});

test("more images than max_multimodal_entries are a 400 before any is fetched", async () => {
  let asked = 0;
  const url = await images((_req, res) => {
    asked++;
    res.end();
  });
  const bench = await Bench.start({ answers, steps: mediaSteps("max_multimodal_entries: 1") });
  expect((await bench.post(imageChat([url("/a"), url("/b")]))).status).toBe(400);
  expect(asked).toBe(0);
});

test("without max_multimodal_entries, 10,000 images are the most", async () => {
  const bench = await Bench.start({ answers, steps: mediaSteps("") });
  const refused = await bench.post(imageChat(Array.from({ length: 10_001 }, () => "http://127.0.0.1:1/a")), {
    "x-request-id": "r",
  });
  expect([refused.status, refused.text]).toEqual([
    400,
    "bad request (request_id: r): 10001 images; at most 10000 are taken\n",
  ]);
});

test("no more downloads than max_concurrent_downloads run at the same time", async () => {
  const running: ServerResponse[] = [];
  let most = 0;
  const url = await images((_req, res) => {
    most = Math.max(most, running.push(res));
    if (running.length !== 2) return;
    // Time for a further one to come, if there is one.
    setTimeout(() => {
      for (const each of running.splice(0)) each.end("x");
    }, 20);
  });
  const bench = await Bench.start({ answers, steps: mediaSteps("max_concurrent_downloads: 2") });
  await bench.post(imageChat(Array.from({ length: 8 }, (_, i) => url(`/${i}`))));
  expect(most).toBe(2);
});

test.each([
  ["that is not there", statusImage, 502, "status"],
  ["that ends in its middle", cutImage, 502, "connection"],
  ["that is encoded", gzipImage, 502, "encoding"],
  ["that redirects to another scheme", schemeImage, 400, "url"],
  ["that redirects to another host", hostImage, 400, "host"],
] as const)("an image %s is told apart", async (_what, listener, status, reason) => {
  const bench = await Bench.start({ answers, steps: mediaSteps("allowed_domains: [Images.Test]") });
  const url = await images(listener);
  expect((await bench.post(imageChat([url("/a")]))).status).toBe(status);
  expect(await reasons(bench, reason)).toBe(1);
  expect(bench.gateway.seen).toEqual([]);
});

function statusImage(_req: unknown, res: ServerResponse): void {
  res.writeHead(404).end();
}
function cutImage(_req: unknown, res: ServerResponse): void {
  res.writeHead(200, { "content-length": 100 }).write("x", () => res.destroy());
}
function gzipImage(_req: unknown, res: ServerResponse): void {
  res.writeHead(200, { "content-encoding": "gzip" }).end("x");
}
function schemeImage(_req: unknown, res: ServerResponse): void {
  res.writeHead(301, { location: "file:///etc/passwd" }).end();
}
function hostImage(_req: unknown, res: ServerResponse): void {
  res.writeHead(301, { location: "http://other.test/" }).end();
}

test.each([
  "ftp://images.test/a",
  "file:///etc/passwd",
  "not a url",
  "",
  "data:image/png,plain",
  "data:image/svg+xml;base64,AAAA",
  "data:;base64,AAAA",
  "data:image/png;base64",
])("an image at %j is a 400", async (url) => {
  const bench = await Bench.start({ answers });
  const answer = await bench.post(imageChat([url]));
  expect([answer.status, bench.gateway.seen]).toEqual([400, []]);
});

test("an image that takes too long is a 502", async () => {
  const bench = await Bench.start({ answers, steps: mediaSteps("download_timeout: 100ms") });
  const url = await images(() => {});
  expect((await bench.post(imageChat([url("/a")]))).status).toBe(502);
  expect(await reasons(bench, "timeout")).toBe(1);
  expect(bench.gateway.seen).toEqual([]);
});

test("a name service that does not answer ends with the download's time", async () => {
  const mediaNetwork = { ...testNetwork, resolve: () => new Promise<never>(() => {}) };
  const steps = mediaSteps("download_timeout: 50ms");
  const bench = await Bench.start({ answers, steps, dependencies: { mediaNetwork } });
  expect((await bench.post(imageChat(["http://images.test/a"]))).status).toBe(502);
  expect(await reasons(bench, "timeout")).toBe(1);
});

test("a client that leaves ends a download", async () => {
  const connections: Socket[] = [];
  const url = await images((req) => void connections.push(req.socket));
  const bench = await Bench.start({ answers });
  const request = bench.open(imageChat([url("/a")]));
  await until("the image is asked for", () => connections.length === 1);
  request.leave();
  await until("its connection is closed", () => connections[0]!.destroyed);
});

test("an answer of render, encode or prefill above max_response_body_size is a 502", async () => {
  const large = { body: Buffer.alloc(1024 * 1024 + 1, 32) };
  for (const phase of ["render", "encode", "prefill"] as const) {
    const bench = await Bench.start({
      answers: { ...answers, [phase]: large },
      gateway: "  max_response_body_size: 1",
    });
    expect((await bench.post(imageChat())).status).toBe(502);
    expect(await bench.metric("pd_coordinator_phase_failures_total", { phase, reason: "too-large" })).toBe(1);
    expect(bench.gateway.of("decode")).toEqual([]);
  }
});

test.each([
  ["no JSON", "{"],
  ["no tokens", "{}"],
  ["another number of images", { token_ids: [1] }],
  ["features of another shape", { token_ids: [1], features: { mm_hashes: [] } }],
  [
    "an image of too many tokens",
    {
      token_ids: [1],
      features: {
        mm_hashes: { image: ["a", "b"] },
        mm_placeholders: {
          image: [
            { offset: 0, length: 1 },
            { offset: 0, length: 2_000_000_000 },
          ],
        },
        kwargs_data: { image: [null, null] },
      },
    },
  ],
])("a rendering that says %s is a 502", async (_what, body) => {
  const bench = await Bench.start({ answers: { ...answers, render: { body } } });
  expect((await bench.post(imageChat())).status).toBe(502);
  expect(bench.gateway.order).toEqual(["render"]);
});

test("prompts and images above the render step's limits are a 400", async () => {
  const steps = (params: string): string => `
    - {type: render, params: {address: RENDER, ${params}}}
    - {type: prefill}
    - {type: decode}
`;
  const tokens = await Bench.start({ answers: { ...answers, render: rendered }, steps: steps("max_total_tokens: 2") });
  expect((await tokens.post(chat)).status).toBe(400);
  expect((await tokens.post({ prompt: [1, 2, 3] }, {}, "/v1/completions")).status).toBe(400);
  expect((await tokens.post({ prompt: [1, 2] }, {}, "/v1/completions")).status).toBe(200);
  expect((await tokens.post({ token_ids: [1, 2, 3] }, {}, "/inference/v1/generate")).status).toBe(400);
  const images = await Bench.start({ answers, steps: steps("max_total_placeholder_tokens: 4") });
  expect((await images.post(imageChat())).status).toBe(400);
});

test("a body that does not come in read_timeout is a 400", async () => {
  const bench = await Bench.start({ answers, server: "  read_timeout: 100ms" });
  const socket = connect(bench.coordinator.port, "127.0.0.1");
  let text = "";
  socket.on("data", (part: Buffer) => {
    text += part.toString();
  });
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{");
  await closed;
  expect(text).toMatch(/^HTTP\/1.1 400 .*failed to read request body\n$/s);
  await until("nothing is open", () => bench.coordinator.openRequests === 0);
});

test("a client that takes nothing of a stream for write_timeout is cut, and its decode ends", async () => {
  const endless: Answer = (_seen, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    const more = (): void => {
      while (!res.destroyed && res.write(Buffer.alloc(64 * 1024, 46)));
      res.once("drain", more);
    };
    more();
  };
  const bench = await Bench.start({
    answers: { ...answers, render: rendered, decode: endless },
    server: "  write_timeout: 200ms",
  });
  const socket = connect(bench.coordinator.port, "127.0.0.1");
  socket.on("error", () => {});
  const body = JSON.stringify(chat);
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  socket.pause();
  await until("the decode is cut", () => bench.gateway.of("decode").some(({ cut }) => cut));
  socket.destroy();
});

test("a decode that breaks off cuts the client, one that is not there is a 502", async () => {
  const broken: Answer = (_seen, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: 1\n\n", () => setTimeout(() => res.destroy(), 20));
  };
  const bench = await Bench.start({ answers: { ...answers, render: rendered, decode: broken } });
  const request = bench.open(chat);
  expect([await request.ended, request.text]).toEqual(["cut", "data: 1\n\n"]);
  const gone = await Bench.start({ answers: { ...answers, render: rendered } });
  await gone.gateway.close();
  expect((await gone.post({ prompt: [1] }, {}, "/v1/completions")).status).toBe(502);
});

test("a decode's answer comes as it is: status, headers, encoding", async () => {
  const bytes = Buffer.from([0x1f, 0x8b, 0, 255]);
  const decode = {
    status: 429,
    headers: { "content-encoding": "gzip", "retry-after": "3", "x-request-id": "u" },
    body: bytes,
  };
  const bench = await Bench.start({ answers: { ...answers, render: rendered, decode } });
  const socket = connect(bench.coordinator.port, "127.0.0.1");
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  const closed = new Promise((resolve) => socket.on("close", resolve));
  const body = JSON.stringify(chat);
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await closed;
  const answer = Buffer.concat(parts);
  expect(answer.subarray(-4)).toEqual(bytes);
  expect(answer.toString("latin1")).toMatch(/^HTTP\/1.1 429 .*content-encoding: gzip\r\n.*retry-after: 3\r\n/s);
  expect(bench.gateway.only("decode").headers["accept-encoding"]).toBe("gzip");
  expect(bench.gateway.only("prefill").headers).not.toHaveProperty("accept-encoding");
});

test("while it stops, open requests finish and new ones find no one", async () => {
  let finish: () => void = () => {};
  const decode: Answer = (_seen, res) => {
    finish = () => send(res, completion);
  };
  const bench = await Bench.start({ answers: { ...answers, render: rendered, decode } });
  const open = bench.post(chat);
  await until("decode is asked", () => bench.gateway.of("decode").length === 1);
  const stopped = bench.coordinator.stop(10_000);
  await expect(bench.post(chat)).rejects.toThrow();
  finish();
  expect((await open).status).toBe(200);
  expect(await stopped).toBe(0);
});

test("requests that do not end in time are cut and counted", async () => {
  const bench = await Bench.start({ answers: { ...answers, render: rendered, decode: hang } });
  const open = bench.open(chat);
  await until("decode is asked", () => bench.gateway.of("decode").length === 1);
  expect(await bench.coordinator.stop(50)).toBe(1);
  expect(await open.ended).toBe("cut");
});

test("probes answer ok; other paths and methods are refused", async () => {
  const bench = await Bench.start({ answers });
  for (const path of ["/healthz", "/readyz"]) {
    const probe = await fetch(`${bench.url}${path}`);
    expect([probe.status, await probe.text()]).toEqual([200, "ok"]);
  }
  expect((await fetch(`${bench.url}/v1/models`)).status).toBe(404);
  expect((await fetch(`${bench.url}/v1/chat/completions`)).status).toBe(405);
  expect((await bench.post(chat, {}, "/v1/chat/completions/")).status).toBe(404);
  expect((await bench.post(chat, {}, "/v1/responses")).status).toBe(404);
});

test("fifty requests at once are all served over few connections", async () => {
  const bench = await Bench.start({ answers: { ...answers, render: rendered } });
  const all = await Promise.all(Array.from({ length: 50 }, () => bench.post(chat)));
  expect(all.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 200));
});
