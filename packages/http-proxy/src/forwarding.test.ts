import { describe, expect, test } from "vitest";
import { ProxyFixture } from "../test/proxy-fixture.ts";
import { chat, chatPath, post, streamedChat } from "../test/raw-client.ts";

const fixture = new ProxyFixture();
const json = { "content-type": "application/json" };

describe("forwarding", () => {
  test("a JSON answer reaches the client with its status, headers and exact length", async () => {
    const server = await fixture.modelServer((_request, res) => {
      res.writeHead(201, { ...json, "x-model": "a" }).end('{"ok":true}');
    });
    const { connect, ends, servedBy } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(chat);
    const answer = await client.response();
    expect(answer.status).toBe(201);
    expect(answer.headers).toMatchObject({
      "content-type": "application/json",
      "content-length": "11",
      "x-model": "a",
      "x-went-into-resp-headers": "true",
    });
    expect(answer.headers["transfer-encoding"]).toBeUndefined();
    expect(answer.body.toString()).toBe('{"ok":true}');
    expect(ends).toEqual(["natural"]);
    expect(servedBy).toEqual([`127.0.0.1:${server.port}`]);
  });

  test("the model server gets the path, the body and the headers the exchange decided on", async () => {
    const server = await fixture.modelServer((_request, res) => res.end());
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(post(`${chatPath}?a=b`, '{"model":"m","x":"ü"}', "X-Tenant: t\r\n"));
    await client.response();
    const [request] = server.requests;
    expect(request).toMatchObject({ method: "POST", url: `${chatPath}?a=b`, body: '{"model":"m","x":"ü"}' });
    expect(request!.headers).toMatchObject({
      host: "api.test",
      "content-type": "application/json",
      "content-length": "22",
      "x-tenant": "t",
      "x-request-id": "generated-1",
      "x-gateway-destination-endpoint": `127.0.0.1:${server.port}`,
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "http",
      via: "1.1 pointsman",
    });
  });

  test("control headers of a client do not reach the model server", async () => {
    const server = await fixture.modelServer((_request, res) => res.end());
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(
      post(
        chatPath,
        '{"model":"m"}',
        [
          "X-Gateway-Destination-Endpoint: 10.0.0.1:80",
          "X-Prefiller-Host-Port: 10.0.0.1:81",
          "x-llm-d-inference-objective: gold",
          "X-Request-Id: mine",
          "",
        ].join("\r\n"),
      ),
    );
    await client.response();
    const { headers } = server.requests[0]!;
    expect(headers["x-gateway-destination-endpoint"]).toBe(`127.0.0.1:${server.port}`);
    expect(headers["x-prefiller-host-port"]).toBeUndefined();
    expect(headers["x-llm-d-inference-objective"]).toBeUndefined();
    expect(headers["x-request-id"]).toBe("mine");
  });

  test("headers of the connection stay behind in both directions, and what came through proxies is kept", async () => {
    const server = await fixture.modelServer((_request, res) => {
      res.writeHead(200, {
        ...json,
        connection: "keep-alive, x-server-hop",
        "x-server-hop": "1",
        "proxy-authenticate": "Basic",
      });
      res.end("{}");
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(
      post(
        chatPath,
        '{"model":"m"}',
        [
          "Connection: keep-alive, X-Hop",
          "X-Hop: 1",
          "Keep-Alive: timeout=3",
          "TE: trailers",
          "Proxy-Authorization: Basic abc",
          "Proxy-Connection: keep-alive",
          "X-Forwarded-For: 1.2.3.4",
          "X-Forwarded-For: 5.6.7.8",
          "X-Forwarded-Proto: https",
          "Via: 2 edge",
          "",
        ].join("\r\n"),
      ),
    );
    const answer = await client.response();
    const names = server.requests[0]!.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    for (const name of ["connection", "x-hop", "keep-alive", "te", "proxy-authorization", "proxy-connection"]) {
      expect(names).not.toContain(name);
    }
    expect(server.requests[0]!.headers).toMatchObject({
      "x-forwarded-for": "1.2.3.4, 5.6.7.8, 127.0.0.1",
      "x-forwarded-proto": "https",
      via: "2 edge, 1.1 pointsman",
    });
    expect(answer.headers["x-server-hop"]).toBeUndefined();
    expect(answer.headers["proxy-authenticate"]).toBeUndefined();
  });

  test("a chunked request body arrives with a length", async () => {
    const server = await fixture.modelServer((_request, res) => res.end("{}"));
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
    client.write('7;x=y\r\n{"model\r\n6\r\n":"m"}\r\n0\r\n\r\n');
    expect((await client.response()).status).toBe(200);
    expect(server.requests[0]).toMatchObject({ body: '{"model":"m"}', headers: { "content-length": "13" } });
    expect(server.requests[0]!.headers["transfer-encoding"]).toBeUndefined();
  });

  test("trailers of a request follow its body, without those that could change its meaning", async () => {
    const server = await fixture.modelServer((_request, res) => res.end("{}"));
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n`);
    client.write('d\r\n{"model":"m"}\r\n0\r\nX-Sum: 1\r\nAuthorization: x\r\nX-Prefiller-Host-Port: y\r\n\r\n');
    expect((await client.response()).status).toBe(200);
    expect(server.requests[0]).toMatchObject({ body: '{"model":"m"}', trailers: { "x-sum": "1" } });
    expect(Object.keys(server.requests[0]!.trailers)).toEqual(["x-sum"]);
  });

  test("trailers of an answer reach the client", async () => {
    const server = await fixture.modelServer((_request, res) => {
      res.writeHead(200, { "content-type": "text/event-stream", trailer: "x-sum" });
      res.write("data: 1\n\n");
      res.addTrailers({ "x-sum": "7" });
      res.end();
    });
    const { connect, ends } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(streamedChat);
    const answer = await client.response();
    expect(answer.body.toString()).toBe("data: 1\n\n");
    expect(answer.trailers).toEqual(["x-sum: 7"]);
    expect(ends).toEqual(["natural"]);
  });

  test("a held answer with trailers passes whole", async () => {
    const server = await fixture.modelServer((_request, res) => {
      res.writeHead(200, { ...json, trailer: "x-sum" });
      res.write('{"a":');
      res.addTrailers({ "x-sum": "7" });
      res.end("1}");
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(chat);
    expect(await client.response()).toMatchObject({ body: Buffer.from('{"a":1}'), trailers: ["x-sum: 7"] });
  });

  test.each([
    ["with a length", { ...json, "content-length": "2" }, chat],
    ["in chunks", json, chat],
    ["as a stream to an HTTP/1.0 client", { "content-type": "text/event-stream" }, chat.replace("1.1", "1.0")],
  ])("an answer %s that announces trailers and has none passes", async (_name, headers, request) => {
    const server = await fixture.rawServer((socket) => {
      const chunked = !("content-length" in headers);
      const lines = Object.entries({
        ...headers,
        trailer: "x-sum",
        ...(chunked ? { "transfer-encoding": "chunked" } : {}),
      });
      const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
      socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n${chunked ? "2\r\n{}\r\n0\r\n\r\n" : "{}"}`);
    });
    const { connect, log, ends } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(request);
    const answer = await client.response();
    expect(answer).toMatchObject({ status: 200, body: Buffer.from("{}") });
    expect(answer.headers["trailer"]).toBeUndefined();
    expect(log.filter(({ level }) => level === "error")).toEqual([]);
    await expect.poll(() => ends).toEqual(["natural"]);
  });

  test("an answer whose size the exchange changes has its new length", async () => {
    const server = await fixture.modelServer((request, res) => {
      const { model } = JSON.parse(request.body) as { model: string };
      const body = JSON.stringify({ model });
      res.writeHead(200, { ...json, "content-length": String(body.length) }).end(body);
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(post(chatPath, '{"model":"m"}', "x-llm-d-model-name-rewrite: a-much-longer-name\r\n"));
    const answer = await client.response();
    expect(server.requests[0]).toMatchObject({
      body: '{"model":"a-much-longer-name"}',
      headers: { "content-length": "30" },
    });
    expect(answer.body.toString()).toBe('{"model":"m"}');
    expect(answer.headers["content-length"]).toBe("13");
  });

  test("a stream whose pieces the exchange changes is framed anew", async () => {
    const server = await fixture.modelServer((_request, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.end("data: long-name\n\n");
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(post(chatPath, '{"model":"m","stream":true}', "x-llm-d-model-name-rewrite: long-name\r\n"));
    expect((await client.response()).body.toString()).toBe("data: m\n\n");
  });

  test("a large answer passes whole", async () => {
    const body = Buffer.alloc(3_000_000, "0123456789abcdef");
    const server = await fixture.modelServer((_request, res) => res.writeHead(200, json).end(body));
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(chat);
    const answer = await client.response();
    expect(answer.body.equals(body)).toBe(true);
  });

  test("an answer nobody needs to see passes without being held, and counts as complete", async () => {
    let finish: (() => void) | undefined;
    const server = await fixture.modelServer((_request, res) => {
      res.writeHead(200, { "content-type": "application/octet-stream" });
      res.write("first");
      finish = () => res.end("second");
    });
    const { connect, ends } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(post("/v1/raw", '{"model":"m"}'));
    await client.until((text) => text.includes("first"));
    expect(ends).toEqual([]);
    finish!();
    expect((await client.response()).body.toString()).toBe("firstsecond");
    expect(ends).toEqual(["natural"]);
  });

  test("an answer nobody needs to see keeps its announced length", async () => {
    const server = await fixture.modelServer((_request, res) => {
      res.writeHead(200, { "content-length": "4" }).end("body");
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(post("/v1/raw", '{"model":"m"}'));
    expect(await client.response()).toMatchObject({ headers: { "content-length": "4" }, body: Buffer.from("body") });
  });

  test("a header of a plugin that HTTP forbids is left out and reported once", async () => {
    const server = await fixture.modelServer((_request, res) => res.end("{}"));
    const { connect, log } = await fixture.proxy({
      ports: [server.port],
      preRequest: (request) => {
        request.upstreamHeaders.set("x-evil", "a\r\nx-smuggled: 1");
        request.upstreamHeaders.set("x-good", "1");
        return undefined;
      },
      responseHeaders: (_request, _result, event) => {
        event.setHeaders.set("x-evil", "a\nb");
        event.setHeaders.set("x-answer", "1");
      },
    });
    const client = await connect();
    client.write(chat);
    const answer = await client.response();
    expect(answer.headers).toMatchObject({ "x-answer": "1" });
    expect(answer.headers["x-evil"]).toBeUndefined();
    const { headers } = server.requests[0]!;
    expect(headers).toMatchObject({ "x-good": "1" });
    expect(headers["x-smuggled"]).toBeUndefined();
    expect(log.filter((line) => line.level === "error")).toMatchObject([{ fields: { header: "x-evil" } }]);
  });
});

describe("methods", () => {
  test.each(["GET", "DELETE", "OPTIONS"])("%s without a body goes to an endpoint without one", async (method) => {
    const server = await fixture.modelServer((_request, res) => res.writeHead(200, json).end('{"data":[]}'));
    const { connect, ends } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(`${method} /v1/models HTTP/1.1\r\nHost: a\r\n\r\n`);
    const answer = await client.response();
    expect(answer).toMatchObject({ status: 200, headers: { "content-length": "11" } });
    expect(answer.body.toString()).toBe('{"data":[]}');
    expect(server.requests[0]).toMatchObject({ method, url: "/v1/models", body: "" });
    expect(server.requests[0]!.headers["content-length"]).toBeUndefined();
    expect(server.requests[0]!.headers["transfer-encoding"]).toBeUndefined();
    expect(ends).toEqual([]);
  });

  test("HEAD gets the headers of the answer and no body, and the connection goes on", async () => {
    const server = await fixture.modelServer((_request, res) => {
      res.writeHead(200, { ...json, "content-length": "11" }).end();
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write("HEAD /v1/models HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await client.response(true)).toMatchObject({ status: 200, headers: { "content-length": "11" } });
    client.write("HEAD /v1/models HTTP/1.1\r\nHost: a\r\n\r\n");
    expect((await client.response(true)).status).toBe(200);
    expect(client.received).toBe("");
  });

  test("204 and 304 pass without a body", async () => {
    const server = await fixture.modelServer((request, res) => {
      res.writeHead(request.url === "/gone" ? 204 : 304, { etag: "x" }).end();
    });
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write("DELETE /gone HTTP/1.1\r\nHost: a\r\n\r\n");
    const gone = await client.response();
    expect(gone.status).toBe(204);
    expect(gone.headers["content-length"]).toBeUndefined();
    client.write("GET /same HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await client.response()).toMatchObject({ status: 304, headers: { etag: "x" } });
  });

  test("a POST without a body tells the model server that there is none", async () => {
    const server = await fixture.modelServer((_request, res) => res.end("{}"));
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write("POST /v1/load HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    expect((await client.response()).status).toBe(200);
    expect(server.requests[0]!.headers["content-length"]).toBe("0");
  });
});
