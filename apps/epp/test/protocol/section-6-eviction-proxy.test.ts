/** Spec ext-proc section 6 in the built-in proxy: requests in flight that must make room. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type InFlightRequest, InFlightRequests, type ResponseBodyEvent } from "@pointsman/core";
import { expect, test } from "vitest";
import { completion } from "./support/messages.ts";
import { eventually, onBothTransports, type Picker } from "./support/picker.ts";

/** A model server that answers as the test says, and tells when its client has gone. */
async function modelServer(answer: (res: ServerResponse) => void) {
  const gone: string[] = [];
  let asked = 0;
  const server = createServer((req: IncomingMessage, res) => {
    asked++;
    req.resume();
    res.on("close", () => gone.push(res.writableFinished ? "answered" : "cut"));
    answer(res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // It listens on TCP, so this is no pipe's name.
  const { port } = server.address() as AddressInfo;
  return { port, gone, asked: () => asked, close: () => void server.close().closeAllConnections() };
}

function post(picker: Picker): Promise<Response> {
  return fetch(`http://127.0.0.1:${picker.ports.proxy}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: completion("a", "m"),
  });
}

async function only(inFlight: InFlightRequests): Promise<InFlightRequest> {
  await eventually(() => inFlight.size).toBe(1);
  return [...inFlight][0]!;
}

onBothTransports("6 eviction in the built-in proxy", (start) => {
  const events: ResponseBodyEvent[] = [];
  async function picker(port: number, inFlight: InFlightRequests): Promise<Picker> {
    events.length = 0;
    return start({
      inFlight,
      pods: [{ address: "127.0.0.1", port }],
      flags: ["--http-proxy-port=0"],
      plugins: { watcher: { responseBody: (_request, _result, event) => void events.push(event) } },
    });
  }
  const ends = () => events.filter(({ endOfStream }) => endOfStream).map(({ terminationCause }) => terminationCause);

  test("6-6 before the answer: the client gets the 429, the model server is left", async () => {
    const server = await modelServer(() => {});
    const inFlight = new InFlightRequests();
    const proxy = await picker(server.port, inFlight);
    const answer = post(proxy);
    await eventually(server.asked).toBe(1);
    const entry = await only(inFlight);
    expect(entry.evict()).toBe(true);
    const response = await answer;
    expect(response.status).toBe(429);
    expect(response.headers.get("x-llm-d-request-dropped-reason")).toBe("evicted");
    expect(await response.text()).toBe("request evicted by flow control");
    await eventually(() => server.gone).toEqual(["cut"]);
    expect(ends()).toEqual(["evicted"]);
    expect(await proxy.metric("llm_d_epp_request_error_total", { error_code: "ResourceExhausted" })).toBe(1);
    server.close();
  });

  test("6-6 within a stream: the client's connection is cut, the model server is left", async () => {
    const server = await modelServer((res) => {
      res.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
    });
    const inFlight = new InFlightRequests();
    const proxy = await picker(server.port, inFlight);
    const response = await post(proxy);
    expect(response.status).toBe(200);
    const reader = response.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe("data: 1\n\n");
    expect((await only(inFlight)).evict()).toBe(true);
    await expect(reader.read()).rejects.toThrow();
    await eventually(() => server.gone).toEqual(["cut"]);
    expect(ends()).toEqual(["evicted"]);
    server.close();
  });

  test("6-6 after the answer: nothing happens", async () => {
    const server = await modelServer((res) => res.end("{}"));
    const inFlight = new InFlightRequests();
    let entry: InFlightRequest | undefined;
    const add = inFlight.add.bind(inFlight);
    inFlight.add = (added) => {
      entry = added;
      return add(added);
    };
    const proxy = await picker(server.port, inFlight);
    const response = await post(proxy);
    expect(await response.text()).toBe("{}");
    expect(entry!.evict()).toBe(false);
    expect(inFlight.size).toBe(0);
    expect(ends()).toEqual(["natural"]);
    server.close();
  });
});
