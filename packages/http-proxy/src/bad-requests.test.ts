import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { closedPort } from "../test/model-server.ts";
import { ProxyFixture } from "../test/proxy-fixture.ts";
import { chat, chatPath, type WireResponse } from "../test/raw-client.ts";

const fixture = new ProxyFixture();
const tail = "Host: a\r\n\r\n";

describe("requests that two parties could read differently", () => {
  test.each([
    [
      "length and coding",
      `POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n0\r\n\r\n`,
      400,
    ],
    [
      "coding and length",
      `POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nHost: a\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ["two lengths", `POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n${tail}hello`, 400],
    ["the same length twice", `POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n${tail}hello`, 400],
    ["a list of lengths", `POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n${tail}hello`, 400],
    ["a signed length", `POST / HTTP/1.1\r\nContent-Length: +5\r\n${tail}hello`, 400],
    ["a negative length", `POST / HTTP/1.1\r\nContent-Length: -5\r\n${tail}hello`, 400],
    ["a length in hexadecimal", `POST / HTTP/1.1\r\nContent-Length: 0x5\r\n${tail}hello`, 400],
    ["an unknown coding", `POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n${tail}0\r\n\r\n`, 501],
    [
      "chunked twice",
      `POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n${tail}0\r\n\r\n`,
      400,
    ],
    ["chunked, then identity", `POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n${tail}0\r\n\r\n`, 400],
    ["another coding before chunked", `POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n${tail}0\r\n\r\n`, 501],
    ["a coding over HTTP/1.0", `POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n${tail}0\r\n\r\n`, 400],
    ["a blank before the colon", `GET / HTTP/1.1\r\nHost : a\r\n\r\n`, 400],
    ["a folded line", `GET / HTTP/1.1\r\nX: a\r\n b\r\n${tail}`, 400],
    ["a lone line feed", `GET / HTTP/1.1\r\nX: a\nY: b\r\n${tail}`, 400],
    ["a lone carriage return", `GET / HTTP/1.1\r\nX: a\rY: b\r\n${tail}`, 400],
    ["a NUL", `GET / HTTP/1.1\r\nX: a\0b\r\n${tail}`, 400],
    ["a bad chunk size", `POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${tail}5 x\r\nhello\r\n0\r\n\r\n`, 400],
    [
      "a chunk line with a lone line feed",
      `POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${tail}5\nhello\r\n0\r\n\r\n`,
      400,
    ],
    [
      "a chunk longer than its size",
      `POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${tail}1\r\nhello\r\n0\r\n\r\n`,
      400,
    ],
  ])("%s", async (_name, text, status) => {
    const answer = await expectRefusal(text, status);
    // Where the next request would begin is not certain, so there is none.
    expect(answer.headers["connection"]).toBe("close");
  });

  test.each([
    ["no Host", `GET / HTTP/1.1\r\n\r\n`],
    ["no Host beside an absolute target", `GET http://a/ HTTP/1.1\r\n\r\n`],
    ["two Hosts", `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`],
    ["a Host with a path", `GET / HTTP/1.1\r\nHost: a/b\r\n\r\n`],
    ["a Host with a user", `GET / HTTP/1.1\r\nHost: u@a\r\n\r\n`],
  ])("%s", async (_name, text) => {
    await expectRefusal(text, 400);
  });
});

describe("requests that are not for a model server", () => {
  test.each([
    ["no HTTP", "hello\r\n\r\n", 400],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["HTTP/1.2", `GET / HTTP/1.2\r\n${tail}`, 505],
    ["a 2.0 in the request line", `GET / HTTP/2.0\r\n${tail}`, 505],
    ["a blank in the path", `GET /a b HTTP/1.1\r\n${tail}`, 400],
    ["bytes beyond ASCII in the path", `GET /\xe4 HTTP/1.1\r\n${tail}`, 400],
    ["a fragment in the path", `GET /a#b HTTP/1.1\r\n${tail}`, 400],
    ["a path without slash", `GET a HTTP/1.1\r\n${tail}`, 400],
    ["no target", `OPTIONS * HTTP/1.1\r\n${tail}`, 400],
    ["another scheme", `GET ftp://a/ HTTP/1.1\r\n${tail}`, 400],
    ["CONNECT", `CONNECT a:443 HTTP/1.1\r\n${tail}`, 405],
    ["TRACE", `TRACE / HTTP/1.1\r\n${tail}`, 405],
    ["an expectation that is not met", `GET / HTTP/1.1\r\nExpect: magic\r\n${tail}`, 417],
    ["a second expectation", `GET / HTTP/1.1\r\nExpect: 100-continue, magic\r\n${tail}`, 417],
    ["an unknown method", `BREW / HTTP/1.1\r\n${tail}`, 400],
    ["a WebSocket", `GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${tail}`, 501],
  ])("%s", async (_name, text, status) => {
    await expectRefusal(text, status);
  });

  test("too many header fields", async () => {
    await expectRefusal(`GET / HTTP/1.1\r\n${"X: y\r\n".repeat(256)}${tail}`, 431);
  });

  test("headers that are too large", async () => {
    await expectRefusal(`GET / HTTP/1.1\r\nX: ${"y".repeat(70_000)}\r\n${tail}`, 431);
  });

  test("405 says what is allowed", async () => {
    for (const method of ["CONNECT a:443", "TRACE /"]) {
      const { connect } = await fixture.proxy({ ports: [] });
      const client = await connect();
      client.write(`${method} HTTP/1.1\r\n${tail}`);
      expect((await client.response()).headers["allow"]).toContain("POST");
    }
  });
});

test("a request sent ahead of the connection's last answer does not reach a model server", async () => {
  const server = await fixture.modelServer((_request, res) => res.end("{}"));
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const other = await connect();
  other.write(chat);
  // The connection to the model server is kept: what the proxy sends would get there at once.
  expect((await other.response()).status).toBe(200);
  const client = await connect();
  client.write(
    `POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n${tail}0\r\n\r\n${chat}GET /ahead HTTP/1.1\r\n${tail}`,
  );
  expect(await client.response()).toMatchObject({ status: 501, headers: { connection: "close" } });
  await client.untilEnd();
  expect(client.received).toBe("");
  other.write(chat);
  expect((await other.response()).status).toBe(200);
  expect(server.requests.map(({ url }) => url)).toEqual([chatPath, chatPath]);
  expect(fixture.begunExchanges).toBe(2);
});

test.each([
  [
    "Connection: close",
    `POST ${chatPath} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{"model":"m"}`,
  ],
  ["HTTP/1.0", `POST ${chatPath} HTTP/1.0\r\nContent-Length: 13\r\n\r\n{"model":"m"}`],
])("a request with %s gets its answer whatever is sent behind it, and nothing else is read", async (_name, request) => {
  const server = await fixture.modelServer((_request, res) => res.end("{}"));
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  client.write(`${request}GET /behind HTTP/1.1\r\n${tail}`);
  client.write("and more");
  expect(await client.response()).toMatchObject({ status: 200, headers: { connection: "close" } });
  await client.untilEnd();
  expect(client.received).toBe("");
  expect(server.requests.map(({ url }) => url)).toEqual([chatPath]);
});

test("a refused upgrade ends the connection: what is behind it may be of the other protocol", async () => {
  const { connect } = await fixture.proxy({ ports: [] });
  const client = await connect();
  client.write(`GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${tail}${chat}`);
  expect(await client.response()).toMatchObject({ status: 501, headers: { connection: "close" } });
  await client.untilEnd();
  expect(client.received).toBe("");
});

test("refusals of what is no request count as answers, too", async () => {
  const { connect, metrics } = await fixture.proxy({ ports: [] });
  for (const [text, statusClass] of [
    ["hello\r\n\r\n", "4xx"],
    [`GET / HTTP/1.2\r\n${tail}`, "5xx"],
  ] as const) {
    const client = await connect();
    client.write(text);
    await client.response();
    expect(metrics.value("llm_d_epp_http_proxy_responses_total", statusClass)).toBe(1);
  }
});

test("with JSON errors, refusals of the proxy itself are JSON, too", async () => {
  const closed = await closedPort();
  const { connect } = await fixture.proxy({ ports: [closed], errorFormat: "json" });
  for (const [text, status, type, message] of [
    [chat, 502, "BadGateway", "no connection to a model server"],
    [`TRACE / HTTP/1.1\r\n${tail}`, 405, "MethodNotAllowed", "method TRACE is not forwarded"],
    ["hello\r\n\r\n", 400, "BadRequest", "the bytes received are not a valid HTTP/1.1 request"],
  ] as const) {
    const client = await connect();
    client.write(text);
    const answer = await client.response();
    expect(answer).toMatchObject({ status, headers: { "content-type": "application/json" } });
    expect(JSON.parse(answer.body.toString())).toEqual({ error: { message, type, param: null, code: status } });
  }
});

/** The answer is `status`, in the form of the picker's errors, and nothing reaches the model server. */
async function expectRefusal(text: string, status: number): Promise<WireResponse> {
  const server = await fixture.modelServer((_request, res) => res.end("{}"));
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  client.write(`${text}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
  const answer = await client.response();
  expect(answer.status).toBe(status);
  expect(answer.body.toString()).toMatch(/^inference error: [A-Za-z]+ - /);
  client.socket.end();
  await client.untilEnd();
  const closed = answer.headers["connection"] === "close";
  if (closed) expect(client.received).toBe("");
  expect(server.requests.filter((request) => closed || request.url !== "/smuggled")).toEqual([]);
  return answer;
}

test("a request in absolute form goes to its path, under its host", async () => {
  const server = await fixture.modelServer((_request, res) => res.end("{}"));
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  client.write("GET http://api.test:8080/v1/models?a=b HTTP/1.1\r\nHost: other\r\n\r\n");
  expect((await client.response()).status).toBe(200);
  client.write("GET HTTP://api.test?a=b HTTP/1.1\r\nHost: other\r\n\r\n");
  expect((await client.response()).status).toBe(200);
  expect(server.requests).toMatchObject([
    { url: "/v1/models?a=b", headers: { host: "api.test:8080" } },
    { url: "/?a=b", headers: { host: "api.test" } },
  ]);
});

test.each(["h2c", "TLS/1.2", "tls/1.3, H2C"])("a client that would like %s is served HTTP/1.1", async (protocol) => {
  const server = await fixture.modelServer((_request, res) => res.end("{}"));
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  const wish = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAMAAABk\r\n`;
  for (let i = 0; i < 2; i++) {
    client.write(chat.replace("\r\n", `\r\n${wish}`));
    expect((await client.response()).status).toBe(200);
    client.write(`GET /v1/models HTTP/1.1\r\n${wish}${tail}`);
    expect((await client.response()).status).toBe(200);
  }
  for (const { headers } of server.requests) {
    expect(headers["upgrade"]).toBeUndefined();
    expect(headers["http2-settings"]).toBeUndefined();
  }
  expect(server.requests.length).toBe(4);
});

test("a protocol that Connection does not list is no wish to switch to it", async () => {
  const server = await fixture.modelServer((_request, res) => res.end("{}"));
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  for (let i = 0; i < 2; i++) {
    client.write(`GET /v1/models HTTP/1.1\r\nUpgrade: websocket\r\n${tail}`);
    expect((await client.response()).status).toBe(200);
  }
  expect(server.requests.map(({ headers }) => headers["upgrade"])).toEqual([undefined, undefined]);
});

describe("what follows a whole request and is none", () => {
  /** A model server whose answers have one event; the test sends the rest. */
  async function streamBegun() {
    const upstreams: ServerResponse[] = [];
    const { port } = await fixture.modelServer((_request, res) => {
      upstreams.push(res);
      res.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
    });
    return { port, upstreams };
  }

  test.each([
    ["a body that is longer than its length", "}"],
    ["bytes that are no request", "garbage\r\n\r\n"],
  ])("%s: the answer is given, and ends the connection", async (_name, behind) => {
    const upstreams: ServerResponse[] = [];
    const server = await fixture.modelServer((_request, res) => void upstreams.push(res));
    const { connect, log } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(`${chat}${behind}`);
    await expect.poll(() => upstreams.length).toBe(1);
    client.write(chat);
    upstreams[0]!.end("{}");
    expect(await client.response()).toMatchObject({ status: 200, headers: { connection: "close" } });
    await client.untilEnd();
    expect(client.received).toBe("");
    expect(server.requests.length).toBe(1);
    expect(log.filter(({ message }) => message === "what follows a request on its connection is not read").length).toBe(
      1,
    );
  });

  test("a refusal is given, too", async () => {
    const { connect } = await fixture.proxy({ ports: [] });
    const client = await connect();
    client.write(`${chat.slice(0, -1)}}}`);
    expect((await client.response()).status).toBe(503);
    await client.untilEnd();
    expect(client.received).toBe("");
  });

  test("a stream that has begun passes whole, and nothing gets into it", async () => {
    const { port, upstreams } = await streamBegun();
    const { connect, log } = await fixture.proxy({ ports: [port] });
    const client = await connect();
    client.write(chat);
    await client.until((text) => text.includes("data: 1"));
    client.write("garbage\r\n\r\n");
    await expect.poll(() => log.some(({ message }) => message.startsWith("what follows"))).toBe(true);
    upstreams[0]!.end("data: 2\n\n");
    expect((await client.response()).body.toString()).toBe("data: 1\n\ndata: 2\n\n");
    await client.untilEnd();
    expect(client.received).toBe("");
  });

  test("the answers that were due before it are given in their order", async () => {
    const server = await fixture.modelServer((_request, res) => res.end("{}"));
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(`${chat}GET /v1/models HTTP/1.1\r\n${tail}garbage\r\n\r\n`);
    for (const connection of ["keep-alive", "close"]) {
      expect(await client.response()).toMatchObject({ status: 200, headers: { connection } });
    }
    await client.untilEnd();
    expect(client.received).toBe("");
  });

  test("half a request that goes no further does not cost the answer before it", async () => {
    const { port, upstreams } = await streamBegun();
    const { connect, log } = await fixture.proxy({ ports: [port] }, { limits: { headerTimeoutMs: 50 } });
    const client = await connect();
    client.write(`${chat}GET /v1/mod`);
    await expect
      .poll(() => log.find(({ message }) => message.startsWith("what follows"))?.fields, { timeout: 10_000 })
      .toMatchObject({ code: "RequestTimeout" });
    upstreams[0]!.end("data: 2\n\n");
    expect((await client.response()).body.toString()).toBe("data: 1\n\ndata: 2\n\n");
    await client.untilEnd();
    expect(client.received).toBe("");
  });
});

describe("clients that are too slow", () => {
  test("with their headers get 408", async () => {
    const { connect } = await fixture.proxy({ ports: [] }, { limits: { headerTimeoutMs: 50 } });
    const client = await connect();
    client.write("GET / HTTP/1.1\r\nHost");
    const answer = await client.response();
    expect(answer.status).toBe(408);
    expect(answer.body.toString()).toBe("inference error: RequestTimeout - the request did not arrive in time");
    await client.untilEnd();
  });

  test("with their body get 408, and the exchange is closed", async () => {
    const { connect } = await fixture.proxy({ ports: [] }, { limits: { headerTimeoutMs: 50, requestTimeoutMs: 50 } });
    const client = await connect();
    client.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\n{"mo`);
    expect((await client.response()).status).toBe(408);
    await client.untilEnd();
    await expect.poll(() => fixture.closeCauses).toEqual(["client-disconnect"]);
  });
});
