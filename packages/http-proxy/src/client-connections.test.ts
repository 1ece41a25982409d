import { expect, test } from "vitest";
import { ProxyFixture } from "../test/proxy-fixture.ts";
import { chat, chatPath, post } from "../test/raw-client.ts";

const fixture = new ProxyFixture();
const json = { "content-type": "application/json" };

test("client and model server each keep one connection over many requests", async () => {
  const server = await fixture.modelServer((_request, res) => res.writeHead(200, json).end("{}"));
  const { connect, metrics } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  for (let i = 0; i < 5; i++) {
    client.write(chat);
    expect((await client.response()).status).toBe(200);
  }
  expect(new Set(server.requests.map((request) => request.remotePort)).size).toBe(1);
  expect(metrics.value("llm_d_epp_http_proxy_upstream_connects_total", "connected")).toBe(1);
  expect(client.ended).toBe(false);
});

test("a connection that the model server wants closed is not used again", async () => {
  const server = await fixture.modelServer((_request, res) => {
    res.writeHead(200, { ...json, connection: "close" }).end("{}");
  });
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  for (let i = 0; i < 2; i++) {
    client.write(chat);
    expect((await client.response()).headers["connection"]).toBe("keep-alive");
  }
  expect(new Set(server.requests.map((request) => request.remotePort)).size).toBe(2);
});

test("a client that asks for it gets its connection closed", async () => {
  const server = await fixture.modelServer((_request, res) => res.writeHead(200, json).end("{}"));
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  client.write(post(chatPath, '{"model":"m"}', "Connection: close\r\n"));
  const answer = await client.response();
  expect(answer.headers["connection"]).toBe("close");
  await client.untilEnd();
});

test("an HTTP/1.0 client gets a stream that ends with the connection", async () => {
  const server = await fixture.modelServer((_request, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: 1\n\n");
    res.end("data: 2\n\n");
  });
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  client.write(`POST ${chatPath} HTTP/1.0\r\nContent-Length: 13\r\n\r\n{"model":"m"}`);
  const answer = await client.response();
  expect(answer.headers["transfer-encoding"]).toBeUndefined();
  expect(answer.headers["connection"]).toBe("close");
  expect(answer.body.toString()).toBe("data: 1\n\ndata: 2\n\n");
  expect(server.requests[0]!.headers).toMatchObject({ host: `127.0.0.1:${server.port}`, via: "1.0 pointsman" });
});

test("pipelined requests are answered in their order", async () => {
  const held: (() => void)[] = [];
  const server = await fixture.modelServer((request, res) => {
    const answer = (): void => void res.writeHead(200, json).end(request.body);
    if (request.body.includes("slow")) held.push(answer);
    else {
      answer();
      for (const run of held.splice(0)) run();
    }
  });
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  client.write(post(chatPath, '{"model":"slow"}') + post(chatPath, '{"model":"fast"}'));
  expect((await client.response()).body.toString()).toBe('{"model":"slow"}');
  expect((await client.response()).body.toString()).toBe('{"model":"fast"}');
});

test("a client too far ahead of the answers is disconnected", async () => {
  const server = await fixture.modelServer(() => {});
  const { connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  client.write("GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n".repeat(17));
  await client.untilEnd();
  expect(client.received).toBe("");
});

test("a client that leaves ends the requests whose answers had to wait, too", async () => {
  const server = await fixture.modelServer(() => {});
  const { connect, metrics } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  client.write(chat.repeat(3));
  await expect.poll(() => server.requests.length).toBe(3);
  client.destroy();
  await metrics.until("llm_d_epp_http_proxy_open_requests", [], (open) => open === 0);
  expect(fixture.closeCauses).toEqual(Array(3).fill("client-disconnect"));
});

test("connections beyond the limit are closed", async () => {
  const server = await fixture.modelServer((_request, res) => res.end());
  const { connect } = await fixture.proxy({ ports: [server.port] }, { limits: { maxConnections: 1 } });
  const first = await connect();
  first.write("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
  expect((await first.response()).status).toBe(200);
  const second = await connect();
  await second.untilEnd();
});
