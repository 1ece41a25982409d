import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { FakeClock } from "@pointsman/testkit";
import { describe, expect, test } from "vitest";
import { closedPort, closing } from "../test/model-server.ts";
import { ProxyFixture } from "../test/proxy-fixture.ts";
import { chat, chatPath, post } from "../test/raw-client.ts";

const fixture = new ProxyFixture();
const json = { "content-type": "application/json" };
const okAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
const retries = "llm_d_epp_http_proxy_retries_total";
const connects = "llm_d_epp_http_proxy_upstream_connects_total";

describe("before a connection", () => {
  test("a refused one moves on to the next target, and the exchange learns who served", async () => {
    const server = await fixture.modelServer((_request, res) => res.writeHead(200, json).end("{}"));
    const dead = await closedPort();
    const { connect, metrics, servedBy, log } = await fixture.proxy({
      ports: [dead, server.port],
      targets: 2,
      fixed: true,
    });
    const client = await connect();
    client.write(chat);
    expect((await client.response()).status).toBe(200);
    expect(server.requests.length).toBe(1);
    expect(server.requests[0]!.headers["x-gateway-destination-endpoint"]).toBe(
      `127.0.0.1:${dead},127.0.0.1:${server.port}`,
    );
    expect(servedBy).toEqual([`127.0.0.1:${server.port}`]);
    expect(metrics.value(retries, "next-endpoint")).toBe(1);
    expect(metrics.value(connects, "failed")).toBe(1);
    expect(log).toContainEqual(
      expect.objectContaining({
        level: "info",
        fields: expect.objectContaining({
          endpoint: `127.0.0.1:${dead}`,
          kind: "connect-failed",
          attempt: 1,
          retried: true,
        }),
      }),
    );
  });

  test("with no target left it is 502 in the picker's form, and the connection goes on", async () => {
    const { connect, ends } = await fixture.proxy({
      ports: [await closedPort(), await closedPort()],
      targets: 2,
    });
    const client = await connect();
    client.write(chat);
    const answer = await client.response();
    expect(answer.status).toBe(502);
    expect(answer.body.toString()).toBe("inference error: BadGateway - no connection to a model server");
    expect(answer.headers["x-llm-d-request-dropped-reason"]).toBeUndefined();
    expect(answer.headers["connection"]).toBe("keep-alive");
    expect(ends).toEqual(["error"]);
    expect(fixture.closeCauses).toEqual(["error"]);
  });

  test("one that does not come about in time moves on, and is 504 when nothing is left", async () => {
    const clock = new FakeClock();
    const silent = await silentPort();
    const server = await fixture.modelServer((_request, res) => res.writeHead(200, json).end("{}"));
    let routed = 0;
    const preRequest = (): undefined => void routed++;
    const { connect, metrics } = await fixture.proxy(
      { ports: [silent, server.port], targets: 2, fixed: true, preRequest },
      { clock, timers: clock.timers, limits: { connectTimeoutMs: 5000 } },
    );
    const client = await connect();
    client.write(chat);
    await expect.poll(() => routed).toBe(1);
    clock.advance(4900);
    expect(metrics.value(connects, "timeout")).toBe(0);
    clock.advance(500);
    expect((await client.response()).status).toBe(200);
    expect(metrics.value(connects, "timeout")).toBe(1);
    expect(metrics.value(retries, "next-endpoint")).toBe(1);

    const alone = await fixture.proxy({ ports: [silent], preRequest }, { clock, timers: clock.timers });
    const other = await alone.connect();
    other.write(chat);
    await expect.poll(() => routed).toBe(2);
    clock.advance(5500);
    const answer = await other.response();
    expect(answer.status).toBe(504);
    expect(answer.body.toString()).toBe("inference error: GatewayTimeout - no connection to a model server in time");
  });

  /** A port where connections are neither accepted nor refused: a stopped process with a full queue. */
  async function silentPort(): Promise<number> {
    const child: ChildProcess = spawn(
      process.execPath,
      [
        "-e",
        'const s=require("net").createServer();s.listen({port:0,host:"127.0.0.1",backlog:1},()=>console.log(s.address().port))',
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    fixture.cleanUp(() => {
      child.kill("SIGKILL");
    });
    const [line] = (await once(child.stdout!, "data")) as [Buffer];
    const port = Number(line.toString());
    child.kill("SIGSTOP");
    const fillers: Socket[] = [];
    fixture.cleanUp(() => {
      for (const socket of fillers) socket.destroy();
    });
    // The queue is full once a further connection does not come about; the kernel takes one or two beyond the backlog.
    for (let i = 0; i < 8; i++) {
      const socket = connectTcp({ port, host: "127.0.0.1" });
      socket.on("error", () => {});
      fillers.push(socket);
    }
    await expect.poll(() => fillers.filter((socket) => !socket.connecting).length).toBeGreaterThan(0);
    return port;
  }
});

describe("on a connection that was used before", () => {
  test.each([
    ["closed", (socket: Socket) => void socket.end()],
    ["reset", (socket: Socket) => void socket.resetAndDestroy()],
  ])("%s before any byte of an answer, the request is sent once more over a fresh one", async (_name, cut) => {
    const server = await fixture.rawServer((socket, _request, number) => {
      if (number === 1) socket.write(okAnswer);
      else cut(socket);
    });
    const { connect, metrics, ends } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(chat);
    expect((await client.response()).status).toBe(200);
    client.write(chat);
    expect((await client.response()).status).toBe(200);
    expect(server.sockets.length).toBe(2);
    expect(metrics.value(retries, "fresh-connection")).toBe(1);
    expect(ends).toEqual(["natural", "natural"]);
  });

  test("the fresh one is refused: the next target gets the request", async () => {
    const fallback = await fixture.modelServer((_request, res) => res.writeHead(200, json).end('{"from":"fallback"}'));
    const server = await fixture.rawServer((socket, _request, number) => {
      if (number === 1) socket.write(okAnswer);
      else void server.close();
    });
    const { connect } = await fixture.proxy({ ports: [server.port, fallback.port], targets: 2, fixed: true });
    const client = await connect();
    client.write(chat);
    expect((await client.response()).body.toString()).toBe("{}");
    client.write(chat);
    expect((await client.response()).body.toString()).toBe('{"from":"fallback"}');
  });

  test("one byte of an answer forbids it", async () => {
    const server = await fixture.rawServer((socket, _request, number) => {
      if (number === 1) socket.write(okAnswer);
      else socket.end("H");
    });
    const { connect, metrics } = await fixture.proxy({ ports: [server.port, server.port], targets: 2 });
    const client = await connect();
    client.write(chat);
    await client.response();
    client.write(chat);
    expect((await client.response()).status).toBe(502);
    expect(server.sockets.length).toBe(1);
    expect(metrics.value(retries, "fresh-connection")).toBe(0);
  });

  test("a connection closed while idle is not used", async () => {
    const server = await fixture.rawServer((socket, _request, number) => {
      expect(number).toBe(1);
      socket.end(okAnswer);
    });
    const { connect, metrics } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    for (let i = 0; i < 3; i++) {
      client.write(chat);
      expect((await client.response()).status).toBe(200);
      await closing(server.sockets.at(-1)!);
    }
    expect(metrics.value(retries, "fresh-connection")).toBe(0);
  });
});

describe("over a fresh connection", () => {
  test.each([
    ["closes", (socket: Socket) => void socket.end()],
    ["resets", (socket: Socket) => void socket.resetAndDestroy()],
  ])("a server that takes the request and %s is not asked again, nor is the fallback", async (_name, cut) => {
    const fallback = await fixture.modelServer((_request, res) => res.end("{}"));
    const server = await fixture.rawServer((socket) => cut(socket));
    const { connect } = await fixture.proxy({ ports: [server.port, fallback.port], targets: 2, fixed: true });
    const client = await connect();
    client.write(chat);
    expect((await client.response()).status).toBe(502);
    expect(server.sockets.length).toBe(1);
    expect(fallback.requests).toEqual([]);
  });

  test("a server that does not answer in time is 504, and sees the request end", async () => {
    const clock = new FakeClock();
    let arrived = false;
    const server = await fixture.rawServer(() => {
      arrived = true;
    });
    const { connect } = await fixture.proxy(
      { ports: [server.port, server.port], targets: 2 },
      { clock, timers: clock.timers },
    );
    const client = await connect();
    client.write(chat);
    await expect.poll(() => arrived).toBe(true);
    clock.advance(599_000);
    expect(server.sockets[0]!.destroyed).toBe(false);
    const closed = closing(server.sockets[0]!);
    clock.advance(1_500);
    const answer = await client.response();
    expect(answer.status).toBe(504);
    expect(answer.body.toString()).toBe(
      "inference error: GatewayTimeout - no answer from the model server in 600000 ms",
    );
    await closed;
    expect(server.sockets.length).toBe(1);
  });

  test("an answer that has begun may take as long as it wants", async () => {
    const clock = new FakeClock();
    const server = await fixture.rawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 4\r\n\r\n12");
    });
    const { connect } = await fixture.proxy({ ports: [server.port] }, { clock, timers: clock.timers });
    const client = await connect();
    client.write(chat);
    await client.until((text) => text.includes("12"));
    clock.advance(100 * 3_600_000);
    server.sockets[0]!.write("34");
    expect((await client.response()).body.toString()).toBe("1234");
  });

  test.each([
    ["no HTTP", "hello\r\n\r\n"],
    ["a split head", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"],
    ["length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["an endless head", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(70_000)}`],
  ])("an answer that is not valid HTTP (%s) is 502", async (_name, text) => {
    const server = await fixture.rawServer((socket) => {
      socket.write(text);
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(chat);
    const answer = await client.response();
    expect(answer.status).toBe(502);
    expect(answer.body.toString()).toBe("inference error: BadGateway - the model server sent no valid HTTP/1.1 answer");
  });
});

describe("kept connections", () => {
  test("end after their time, before the model server ends them", async () => {
    const clock = new FakeClock();
    const server = await fixture.rawServer((socket) => {
      socket.write(okAnswer);
    });
    const { connect } = await fixture.proxy({ ports: [server.port] }, { clock, timers: clock.timers });
    const client = await connect();
    client.write(chat);
    await client.response();
    clock.advance(3500);
    client.write(chat);
    await client.response();
    expect(server.sockets.length).toBe(1);
    const closed = closing(server.sockets[0]!);
    clock.advance(4500);
    await closed;
    client.write(chat);
    await client.response();
    expect(server.sockets.length).toBe(2);
  });

  test("last as long as the model server says, less a second", async () => {
    const clock = new FakeClock();
    const server = await fixture.rawServer((socket) => {
      socket.write(okAnswer.replace("200 OK\r\n", "200 OK\r\nKeep-Alive: timeout=20\r\n"));
    });
    const { connect } = await fixture.proxy({ ports: [server.port] }, { clock, timers: clock.timers });
    const client = await connect();
    client.write(chat);
    await client.response();
    clock.advance(18_500);
    expect(server.sockets[0]!.destroyed).toBe(false);
    client.write(chat);
    await client.response();
    expect(server.sockets.length).toBe(1);
    const closed = closing(server.sockets[0]!);
    clock.advance(19_500);
    await closed;
  });

  test("are bounded in number", async () => {
    const waiting: ServerResponse[] = [];
    const server = await fixture.modelServer((_request, res) => {
      waiting.push(res);
      if (waiting.length < 3) return;
      for (const each of waiting.splice(0)) each.end("{}");
    });
    const { connect, metrics } = await fixture.proxy(
      { ports: [server.port] },
      { limits: { maxIdleUpstreamsPerEndpoint: 1 } },
    );
    const clients = await Promise.all([connect(), connect(), connect()]);
    for (const client of clients) client.write(chat);
    for (const client of clients) expect((await client.response()).status).toBe(200);
    expect(metrics.value(connects, "connected")).toBe(3);
    for (const client of clients) client.write(chat);
    for (const client of clients) expect((await client.response()).status).toBe(200);
    expect(metrics.value(connects, "connected")).toBe(5);
  });

  test("do not include one whose model server has not taken the whole request", async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      socket.once("data", () => {
        socket.pause();
        socket.write(okAnswer);
      });
    });
    fixture.cleanUp(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo; // It listens on TCP.
    const { connect } = await fixture.proxy({ ports: [port] });
    const client = await connect();
    client.write(post(chatPath, `{"model":"m","prompt":"${"a".repeat(60_000_000)}"}`));
    expect((await client.response()).status).toBe(200);
    client.write(chat);
    expect((await client.response()).status).toBe(200);
    expect(sockets.length).toBe(2);
  });

  test("bytes that nobody asked for end one", async () => {
    const server = await fixture.rawServer((socket) => {
      socket.write(okAnswer);
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(chat);
    await client.response();
    const closed = closing(server.sockets[0]!);
    server.sockets[0]!.write(okAnswer);
    await closed;
    client.write(chat);
    expect((await client.response()).status).toBe(200);
    expect(server.sockets.length).toBe(2);
  });
});

test("a model server known by name is reached", async () => {
  const server = await fixture.modelServer((_request, res) => res.writeHead(200, json).end("{}"));
  const { connect, endpoints } = await fixture.proxy({ ports: [server.port] });
  endpoints[0]!.update({ ...endpoints[0]!.metadata, address: "localhost" });
  const client = await connect();
  client.write(chat);
  expect((await client.response()).status).toBe(200);
  expect(server.requests[0]!.headers["x-gateway-destination-endpoint"]).toBe(`localhost:${server.port}`);
});
