import type { ServerResponse } from "node:http";
import { FakeClock } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { ProxyFixture } from "../test/proxy-fixture.ts";
import { chat, RawClient, streamedChat } from "../test/raw-client.ts";

const fixture = new ProxyFixture();
const openRequests = "llm_d_epp_http_proxy_open_requests";

test("a drain finishes what is open and takes nothing new", async () => {
  const upstreams: ServerResponse[] = [];
  const server = await fixture.modelServer((_request, res) => {
    upstreams.push(res);
    res.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
  });
  const { proxy, port, connect } = await fixture.proxy({ ports: [server.port] });
  const streaming = await connect();
  streaming.write(streamedChat);
  await streaming.until((text) => text.includes("data: 1"));
  const idle = await connect();
  idle.write("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
  expect((await idle.response()).status).toBe(200);

  let drained = false;
  const drain = proxy.drain(60_000).then(() => {
    drained = true;
  });
  await idle.untilEnd();
  await expect(RawClient.connect(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  expect(drained).toBe(false);

  upstreams[0]!.end("data: 2\n\n");
  expect((await streaming.response()).body.toString()).toBe("data: 1\n\ndata: 2\n\n");
  await drain;
  await streaming.untilEnd();
});

test("answers that begin during a drain end their connection", async () => {
  const upstreams: ServerResponse[] = [];
  const server = await fixture.modelServer((_request, res) => void upstreams.push(res));
  const { proxy, connect } = await fixture.proxy({ ports: [server.port] });
  const client = await connect();
  client.write(chat);
  await expect.poll(() => upstreams.length).toBe(1);
  const drain = proxy.drain(60_000);
  // A request behind the open one gets no answer; the client has to send it elsewhere.
  client.write("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
  upstreams[0]!.end("{}");
  expect(await client.response()).toMatchObject({ status: 200, headers: { connection: "close" } });
  await client.untilEnd();
  await drain;
});

test("once connections are not kept, each ends with its next answer, and new ones are still taken", async () => {
  const server = await fixture.modelServer((_request, res) => res.end("{}"));
  const { proxy, connect } = await fixture.proxy({ ports: [server.port] });
  const kept = await connect();
  kept.write(chat);
  expect((await kept.response()).headers["connection"]).toBe("keep-alive");
  proxy.endKeepAlive();
  const fresh = await connect();
  for (const client of [kept, fresh]) {
    client.write(chat);
    expect(await client.response()).toMatchObject({ status: 200, headers: { connection: "close" } });
    await client.untilEnd();
  }
  expect(server.requests.length).toBe(3);
});

test("a drain without open requests is done at once", async () => {
  const { proxy } = await fixture.proxy({ ports: [] });
  await proxy.drain(60_000);
});

test("a drain gives up after its time, and stop cuts what is left", async () => {
  const clock = new FakeClock();
  const server = await fixture.modelServer((_request, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
  });
  const { proxy, connect, metrics, ends } = await fixture.proxy(
    { ports: [server.port] },
    { clock, timers: clock.timers },
  );
  const client = await connect();
  client.write(streamedChat);
  await client.until((text) => text.includes("data: 1"));
  const drain = proxy.drain(5_000);
  clock.advance(5_000);
  await drain;
  expect(metrics.value(openRequests)).toBe(1);
  await proxy.stop();
  await client.untilEnd();
  expect(metrics.value(openRequests)).toBe(0);
  expect(ends).toEqual(["error"]);
  expect(fixture.closeCauses).toEqual(["error"]);
  expect(metrics.value("llm_d_epp_http_proxy_client_disconnects_total")).toBe(0);
});

test("stop leaves no timer, no connection and no port, and may be called again", async () => {
  const clock = new FakeClock();
  const server = await fixture.rawServer((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
  });
  const { proxy, port, connect } = await fixture.proxy({ ports: [server.port] }, { clock, timers: clock.timers });
  const client = await connect();
  client.write(chat);
  expect((await client.response()).status).toBe(200);
  await proxy.stop();
  await client.untilEnd();
  expect(clock.pendingTimers).toBe(0);
  await expect.poll(() => server.sockets[0]!.destroyed).toBe(true);
  await expect(RawClient.connect(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  await proxy.stop();
});
