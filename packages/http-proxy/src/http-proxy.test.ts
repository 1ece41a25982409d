import type { IncomingMessage } from "node:http";
import { RequestError } from "@pointsman/core";
import { describe, expect, test } from "vitest";
import { ProxyFixture } from "../test/proxy-fixture.ts";
import { chat, chatPath } from "../test/raw-client.ts";
import { buildTestRouter } from "../test/test-router.ts";

const fixture = new ProxyFixture();
const json = { "content-type": "application/json" };

describe("answers of the picker", () => {
  test("a refusal reaches the client with status, text and headers, and the connection goes on", async () => {
    const server = await fixture.modelServer((_request, res) => res.end());
    const error = new RequestError("ResourceExhausted", "full", "rejected-saturated");
    const { connect } = await fixture.proxy({ ports: [server.port], admission: { admit: () => error } });
    const client = await connect();
    for (let i = 0; i < 2; i++) {
      client.write(chat);
      const answer = await client.response();
      expect(answer).toMatchObject({
        status: 429,
        headers: {
          "x-llm-d-request-dropped-reason": "rejected-saturated",
          "content-type": "text/plain; charset=utf-8",
          connection: "keep-alive",
        },
      });
      expect(answer.body.toString()).toBe("inference error: ResourceExhausted - full");
    }
    expect(server.requests).toEqual([]);
  });

  test("a decision may wait", async () => {
    const server = await fixture.modelServer((_request, res) => res.writeHead(200, json).end("{}"));
    let admit: ((error: undefined | RequestError) => void) | undefined;
    const { connect } = await fixture.proxy({
      ports: [server.port],
      admission: {
        admit: () =>
          new Promise((resolve) => {
            admit = resolve;
          }),
      },
    });
    const first = await connect();
    first.write(chat);
    await expect.poll(() => admit).toBeDefined();
    admit!(undefined);
    expect((await first.response()).status).toBe(200);

    admit = undefined;
    first.write(chat);
    await expect.poll(() => admit).toBeDefined();
    admit!(new RequestError("ServiceUnavailable", "no", "rejected-ttl-expired"));
    expect((await first.response()).status).toBe(503);
  });

  test("a client that leaves while the decision waits ends the request", async () => {
    const server = await fixture.modelServer((_request, res) => res.end());
    let waits = false;
    let aborted: Promise<void> | undefined;
    const { connect, metrics } = await fixture.proxy({
      ports: [server.port],
      admission: {
        admit: (request) => {
          waits = true;
          aborted = new Promise((resolve) => {
            request.signal.addEventListener("abort", () => resolve());
          });
          return aborted.then(() => new RequestError("ServiceUnavailable", "gone", "rejected-context-cancelled"));
        },
      },
    });
    const client = await connect();
    client.write(chat);
    await expect.poll(() => waits).toBe(true);
    client.destroy();
    await aborted;
    await metrics.until("llm_d_epp_http_proxy_open_requests", [], (open) => open === 0);
    expect(fixture.closeCauses).toEqual(["client-disconnect"]);
    expect(server.requests).toEqual([]);
  });

  test("no endpoint for a request without a body is 503", async () => {
    const { connect } = await fixture.proxy({ ports: [] });
    const client = await connect();
    client.write("GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n");
    const answer = await client.response();
    expect(answer.status).toBe(503);
    expect(answer.headers["connection"]).toBe("keep-alive");
  });

  test("a request keeps the router it began with", async () => {
    const old = await fixture.modelServer((_request, res) => res.end("old"));
    const current = await fixture.modelServer((_request, res) => res.end("new"));
    const before = buildTestRouter({ ports: [old.port] }).router;
    const after = buildTestRouter({ ports: [current.port] }).router;
    let router = before;
    const { connect } = await fixture.proxy({ ports: [] }, { router: () => router });
    const client = await connect();
    client.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\n{"model"`);
    const other = await connect();
    await expect.poll(() => fixture.begunExchanges).toBe(1);
    router = after;
    other.write(chat);
    expect((await other.response()).body.toString()).toBe("new");
    client.write(':"m"}');
    expect((await client.response()).body.toString()).toBe("old");
  });

  test("a router that cannot be had costs the request, not the proxy", async () => {
    let broken = true;
    const server = await fixture.modelServer((_request, res) => res.end("{}"));
    const { router } = buildTestRouter({ ports: [server.port] });
    const { connect, log } = await fixture.proxy(
      { ports: [] },
      {
        router: () => {
          if (broken) throw new Error("no router");
          return router;
        },
      },
    );
    const client = await connect();
    client.write(chat);
    expect((await client.response()).status).toBe(500);
    expect(log).toContainEqual(expect.objectContaining({ level: "error", fields: { cause: "no router" } }));
    broken = false;
    const next = await connect();
    next.write(chat);
    expect((await next.response()).status).toBe(200);
  });
});

describe("bodies beyond the limit", () => {
  test("an announced size is refused before the body is sent", async () => {
    const server = await fixture.modelServer((_request, res) => res.end());
    const { connect } = await fixture.proxy({ ports: [server.port], maxRequestBodyBytes: 100 });
    const client = await connect();
    client.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n`);
    const answer = await client.response();
    expect(answer).toMatchObject({ status: 413, headers: { connection: "close" } });
    expect(answer.body.toString()).toBe("inference error: PayloadTooLarge - request body exceeds 100 bytes");
    client.write("x".repeat(101));
    await client.untilEnd();
    expect(client.wasReset).toBe(false);
  });

  test("a size that shows only as it arrives is refused at the limit", async () => {
    const server = await fixture.modelServer((_request, res) => res.end());
    const { connect } = await fixture.proxy({ ports: [server.port], maxRequestBodyBytes: 100 });
    const client = await connect();
    client.write(
      `POST ${chatPath} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n${"x".repeat(101)}\r\n`,
    );
    const answer = await client.response();
    expect(answer).toMatchObject({ status: 413, headers: { connection: "close" } });
    client.write("0\r\n\r\n");
    await client.untilEnd();
    expect(server.requests).toEqual([]);
  });

  test("a client that goes on sending is cut off after a bound", async () => {
    const server = await fixture.modelServer((_request, res) => res.end());
    const { connect, metrics } = await fixture.proxy({ ports: [server.port], maxRequestBodyBytes: 100 });
    const client = await connect();
    client.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n`);
    expect((await client.response()).status).toBe(413);
    const block = Buffer.alloc(1_000_000);
    let sent = 0;
    while (!client.socket.destroyed && sent < 1000) {
      sent++;
      const written = await new Promise<boolean>((resolve) => client.socket.write(block, (error) => resolve(!error)));
      if (!written) break;
    }
    await metrics.until("llm_d_epp_http_proxy_open_requests", [], (open) => open === 0);
    // The bound plus what the kernel holds on both sides.
    expect(sent).toBeLessThan(100);
  });

  test("a body within the limit passes", async () => {
    const server = await fixture.modelServer((_request, res) => res.end("{}"));
    const { connect } = await fixture.proxy({ ports: [server.port], maxRequestBodyBytes: 13 });
    const client = await connect();
    client.write(chat);
    expect((await client.response()).status).toBe(200);
  });
});

describe("Expect: 100-continue", () => {
  test("the client is told to go on, and the model server hears nothing of it", async () => {
    const server = await fixture.modelServer((_request: unknown, res, _req: IncomingMessage) => res.end("{}"));
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n`);
    expect((await client.response(true)).status).toBe(100);
    client.write('{"model":"m"}');
    expect((await client.response()).status).toBe(200);
    expect(server.requests[0]!.headers["expect"]).toBeUndefined();
  });

  test("a body that will be refused is not asked for", async () => {
    const server = await fixture.modelServer((_request, res) => res.end());
    const { connect } = await fixture.proxy({ ports: [server.port], maxRequestBodyBytes: 100 });
    const client = await connect();
    client.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n`);
    expect(await client.response()).toMatchObject({ status: 413, headers: { connection: "close" } });
    await client.untilEnd();
  });

  test("another expectation is refused", async () => {
    const server = await fixture.modelServer((_request, res) => res.end());
    const { connect } = await fixture.proxy({ ports: [server.port] });
    const client = await connect();
    client.write(`GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n`);
    expect((await client.response()).status).toBe(417);
  });
});

describe("health", () => {
  test("GET /health answers by itself whether requests can be served", async () => {
    const server = await fixture.modelServer((_request, res) => res.end("not asked"));
    let reason: string | undefined = "no endpoints known";
    const { connect } = await fixture.proxy({ ports: [server.port] }, { ready: () => reason });
    const client = await connect();
    client.write("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    const notReady = await client.response();
    expect(notReady.status).toBe(503);
    expect(JSON.parse(notReady.body.toString())).toEqual({ status: "unavailable", reason: "no endpoints known" });
    reason = undefined;
    client.write("GET /health?x HTTP/1.1\r\nHost: a\r\n\r\n");
    const ready = await client.response();
    expect(ready).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
    expect(JSON.parse(ready.body.toString())).toEqual({ status: "ok", openRequests: 0 });
    client.write("HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n");
    expect((await client.response(true)).status).toBe(200);
    expect(server.requests).toEqual([]);
  });
});

test("an address in use is a clear error", async () => {
  const server = await fixture.modelServer((_request, res) => res.end());
  await expect(fixture.proxy({ ports: [] }, { port: server.port })).rejects.toMatchObject({
    code: "EPP_HTTP_PROXY_LISTEN",
    message: expect.stringContaining(`cannot listen on 127.0.0.1:${server.port}`),
  });
});
