import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { FakeClock } from "@pointsman/testkit";
import { describe, expect, test } from "vitest";
import { closing } from "../test/model-server.ts";
import { ProxyFixture } from "../test/proxy-fixture.ts";
import { chat, chatPath, type RawClient, streamedChat } from "../test/raw-client.ts";

const fixture = new ProxyFixture();
const sse = { "content-type": "text/event-stream" };
const openRequests = "llm_d_epp_http_proxy_open_requests";
const pausedUpstreams = "llm_d_epp_http_proxy_paused_upstreams";

describe("a stream of events", () => {
  test("arrives byte for byte, however it was cut", async () => {
    const events = Array.from({ length: 2000 }, (_, i) => `data: {"i":${i},"text":"${"ü\u0001x".repeat(i % 50)}"}\n\n`);
    const whole = `${events.join("")}data: [DONE]\n\n`;
    const server = await fixture.modelServer((_request, res) => {
      res.writeHead(200, sse);
      const bytes = Buffer.from(whole);
      let at = 0;
      const step = (i: number): void => {
        const end = Math.min(bytes.length, at + 1 + ((i * 7919) % 5000));
        res.write(bytes.subarray(at, end));
        at = end;
        if (at < bytes.length) setImmediate(step, i + 1);
        else res.end();
      };
      step(0);
    });
    const { connect, ends } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(streamedChat);
    const answer = await client.response();
    expect(answer.headers["transfer-encoding"]).toBe("chunked");
    expect(answer.headers["content-length"]).toBeUndefined();
    expect(answer.body.toString()).toBe(whole);
    expect(ends).toEqual(["natural"]);
    client.write(streamedChat);
    expect((await client.response()).body.toString()).toBe(whole);
  });

  test("the head and each event reach the client before the model server sends more", async () => {
    let upstream: ServerResponse | undefined;
    const server = await fixture.modelServer((_request, res) => {
      upstream = res;
      res.writeHead(200, sse);
      res.flushHeaders();
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(streamedChat);
    await client.until((text) => text.includes("\r\n\r\n"));
    for (let i = 0; i < 20; i++) {
      upstream!.write(`data: ${i}\n\n`);
      await client.until((text) => text.includes(`data: ${i}\n\n`));
    }
    upstream!.end("data: [DONE]\n\n");
    const answer = await client.response();
    expect(answer.chunks.length).toBeGreaterThanOrEqual(20);
  });

  test("an event goes through even if the client asked for no stream", async () => {
    let upstream: ServerResponse | undefined;
    const server = await fixture.modelServer((_request, res) => {
      upstream = res;
      res.writeHead(200, sse).write("data: 1\n\n");
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(chat);
    await client.until((text) => text.includes("data: 1"));
    upstream!.end();
    expect((await client.response()).status).toBe(200);
  });
});

describe("a client that leaves", () => {
  test("ends the request at the model server at once", async () => {
    let closed: Promise<void> | undefined;
    const server = await fixture.modelServer((_request, res, req) => {
      closed = closing(req.socket);
      res.writeHead(200, sse).write("data: 1\n\n");
    });
    const { connect, metrics, ends } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(streamedChat);
    await client.until((text) => text.includes("data: 1"));
    client.destroy();
    await closed;
    await metrics.until(openRequests, [], (open) => open === 0);
    expect(fixture.closeCauses).toEqual(["client-disconnect"]);
    expect(ends).toEqual(["client-disconnect"]);
    expect(metrics.value("llm_d_epp_http_proxy_client_disconnects_total")).toBe(1);
  });

  test("ends it before the model server has answered, too", async () => {
    let arrived: (() => void) | undefined;
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    let closed: Promise<void> | undefined;
    const server = await fixture.modelServer((_request, _res, req) => {
      closed = closing(req.socket);
      arrived!();
    });
    const { connect, ends, metrics } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(streamedChat);
    await arrival;
    client.destroy();
    await closed;
    await metrics.until(openRequests, [], (open) => open === 0);
    expect(ends).toEqual(["client-disconnect"]);
  });

  test("within its body sends nothing to a model server", async () => {
    const server = await fixture.modelServer((_request, res) => res.end());
    const { connect, metrics } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\n{"mod`);
    await metrics.until(openRequests, [], (open) => open === 1);
    client.destroy();
    await metrics.until(openRequests, [], (open) => open === 0);
    expect(fixture.closeCauses).toEqual(["client-disconnect"]);
    expect(server.requests).toEqual([]);
  });

  test("by closing its side only counts as gone", async () => {
    let closed: Promise<void> | undefined;
    const server = await fixture.modelServer((_request, res, req) => {
      closed = closing(req.socket);
      res.writeHead(200, sse).write("data: 1\n\n");
    });
    const { connect, metrics } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(streamedChat);
    await client.until((text) => text.includes("data: 1"));
    client.socket.end();
    await closed;
    await metrics.until(openRequests, [], (open) => open === 0);
  });
});

describe("a model server that fails within its answer", () => {
  async function cutAfter(first: string, cut: (socket: Socket) => void): Promise<RawClient> {
    const server = await fixture.rawServer((socket) => {
      socket.write(first);
    });
    const { connect, metrics, ends } = await fixture.proxy({ ports: [server.port, server.port], targets: 2 });
    const client = await connect();
    client.write(streamedChat);
    await client.until((text) => text.includes("data: 1"));
    cut(server.sockets[0]!);
    await client.untilEnd();
    await metrics.until(openRequests, [], (open) => open === 0);
    expect(fixture.closeCauses).toEqual(["error"]);
    expect(ends).toEqual(["error"]);
    expect(server.sockets.length).toBe(1);
    expect(metrics.value("llm_d_epp_http_proxy_cut_answers_total")).toBe(1);
    return client;
  }

  const stream =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";

  test.each([
    ["closes the connection", (socket: Socket) => void socket.end()],
    ["resets the connection", (socket: Socket) => void socket.resetAndDestroy()],
    ["breaks the framing", (socket: Socket) => void socket.write("no chunk size\r\n")],
    ["closes within a chunk", (socket: Socket) => void socket.end("9\r\ndata:")],
  ])("and %s leaves a client that can tell", async (_name, cut) => {
    const client = await cutAfter(stream, cut);
    expect(client.received).not.toContain("0\r\n\r\n");
    await expect(client.response()).rejects.toThrow("the connection ended");
  });

  test("a client that knows the end only by the connection's sees a reset", async () => {
    const server = await fixture.rawServer((socket) => {
      socket.write(stream);
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(`POST ${chatPath} HTTP/1.0\r\nContent-Length: 13\r\n\r\n{"model":"m"}`);
    await client.until((text) => text.includes("data: 1"));
    server.sockets[0]!.destroy();
    await client.untilEnd();
    expect(client.wasReset).toBe(true);
  });

  test("before the client has seen anything of the answer is 502", async () => {
    const server = await fixture.rawServer((socket) => {
      socket.end('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a":');
    });
    const { connect, ends } = await fixture.proxy({ ports: [server.port, server.port], targets: 2 });
    const client = await connect();
    client.write(chat);
    const answer = await client.response();
    expect(answer.status).toBe(502);
    expect(answer.body.toString()).toBe(
      "inference error: BadGateway - the model server closed the connection without a whole answer",
    );
    expect(answer.headers["x-llm-d-request-dropped-reason"]).toBeUndefined();
    expect(ends).toEqual(["error"]);
    expect(server.sockets.length).toBe(1);
    client.write("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    expect((await client.response()).status).toBe(200);
  });

  test("a body that ends with the connection passes", async () => {
    const server = await fixture.rawServer((socket) => {
      socket.end("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
    });
    const { connect, ends } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(streamedChat);
    expect((await client.response()).body.toString()).toBe("data: 1\n\n");
    expect(ends).toEqual(["natural"]);
  });
});

describe("a client that does not read", () => {
  const block = Buffer.alloc(64 * 1024, "data: 0123456789\n\n");
  const totalBlocks = 4096;
  /** Twice what the kernel may hold on two connections, and what the proxy may. */
  const boundBytes = 96 * 1024 * 1024;

  /** A model server that sends `totalBlocks` as fast as they are taken. */
  async function flood(): Promise<{ port: number; sentBytes: () => number; closed: () => Promise<void> }> {
    let sent = 0;
    let closed: Promise<void> | undefined;
    const server = await fixture.modelServer((_request, res, req) => {
      closed = closing(req.socket);
      res.writeHead(200, sse);
      const more = (): void => {
        while (sent < totalBlocks) {
          sent++;
          if (!res.write(block)) {
            res.once("drain", more);
            return;
          }
        }
        res.end();
      };
      more();
    });
    return { port: server.port, sentBytes: () => sent * block.length, closed: () => closed! };
  }

  test("stops the model server's stream within a bound, and gets all of it once it reads", async () => {
    const server = await flood();
    const { connect, metrics, ends } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.socket.pause();
    client.write(streamedChat);
    await metrics.until(pausedUpstreams, [], (paused) => paused === 1);
    // Another client is served meanwhile, and each of its requests lets the stream go on if it can.
    const other = await connect();
    let unchanged = 0;
    for (let before = 0; unchanged < 50; ) {
      other.write("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
      expect((await other.response()).status).toBe(200);
      unchanged = server.sentBytes() === before ? unchanged + 1 : 0;
      before = server.sentBytes();
    }
    expect(server.sentBytes()).toBeLessThan(boundBytes);

    let receivedBytes = 0;
    client.socket.removeAllListeners("data");
    let tail = "";
    client.socket.on("data", (bytes: Buffer) => {
      receivedBytes += bytes.length;
      tail = (tail + bytes.toString("latin1")).slice(-20);
    });
    client.socket.resume();
    await metrics.until(openRequests, [], (open) => open === 0);
    await expect.poll(() => tail.endsWith("\r\n0\r\n\r\n")).toBe(true);
    expect(receivedBytes).toBeGreaterThan(totalBlocks * block.length);
    expect(metrics.value(pausedUpstreams)).toBe(0);
    expect(ends).toEqual(["natural"]);
  });

  test("is disconnected when it takes nothing for too long", async () => {
    const clock = new FakeClock();
    const server = await flood();
    const { connect, metrics, ends } = await fixture.proxy(
      { ports: [server.port] },
      { clock, timers: clock.timers, limits: { clientStallTimeoutMs: 30_000 } },
    );
    const client = await connect();
    client.socket.pause();
    client.write(streamedChat);
    await metrics.until(pausedUpstreams, [], (paused) => paused === 1);
    clock.advance(29_000);
    expect(metrics.value(openRequests)).toBe(1);
    clock.advance(1_500);
    await metrics.until(openRequests, [], (open) => open === 0);
    await server.closed();
    expect(metrics.value(pausedUpstreams)).toBe(0);
    expect(ends).toEqual(["client-disconnect"]);
  });

  test("is disconnected, too, when the model server is done", async () => {
    const clock = new FakeClock();
    const server = await flood();
    const { connect, metrics, ends } = await fixture.proxy(
      { ports: [server.port] },
      { clock, timers: clock.timers, limits: { clientBufferBytes: 1_000_000_000, clientStallTimeoutMs: 30_000 } },
    );
    const client = await connect();
    client.socket.pause();
    client.write(streamedChat);
    await expect.poll(() => ends).toEqual(["natural"]);
    clock.advance(29_000);
    expect(metrics.value(openRequests)).toBe(1);
    clock.advance(1_500);
    await metrics.until(openRequests, [], (open) => open === 0);
  });
});

test("a thousand streams at a time each get their own events", async () => {
  const streams = 1000;
  const upstreams: ServerResponse[] = [];
  let startedStreams = 0;
  let allStarted: (() => void) | undefined;
  const started = new Promise<void>((resolve) => {
    allStarted = resolve;
  });
  const server = await fixture.modelServer((request, res) => {
    res.writeHead(200, sse);
    const { n } = JSON.parse(request.body) as { n: number };
    res.write(`data: first of ${n}\n\n`);
    upstreams[n] = res;
    if (++startedStreams === streams) allStarted!();
  });
  const { connect, metrics, ends } = await fixture.proxy({ ports: [server.port] });
  const clients = await Promise.all(Array.from({ length: streams }, () => connect()));
  clients.forEach((client, n) => {
    const body = `{"model":"m","stream":true,"n":${n}}`;
    client.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  await started;
  await Promise.all(clients.map((client, n) => client.until((text) => text.includes(`data: first of ${n}\n\n`))));
  expect(metrics.value(openRequests)).toBe(streams);
  upstreams.forEach((res, n) => {
    res.end(`data: last of ${n}\n\n`);
  });
  const answers = await Promise.all(clients.map((client) => client.response()));
  answers.forEach((answer, n) => {
    expect(answer.body.toString()).toBe(`data: first of ${n}\n\ndata: last of ${n}\n\n`);
  });
  await metrics.until(openRequests, [], (open) => open === 0);
  expect(ends.filter((cause) => cause === "natural").length).toBe(streams);
}, 180_000);
