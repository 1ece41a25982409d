import { Agent } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ApiClient } from "./api-client.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that answers each connection with these bytes and closes it soon after. */
function serve(bytes: string): Promise<ApiClient> {
  return listen((socket) => {
    socket.write(bytes, "latin1");
    setTimeout(() => socket.destroy(), 50);
  });
}

/** A server that does this on each connection once something came. */
async function listen(answer: (socket: Socket) => void): Promise<ApiClient> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => answer(socket));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Listening on a host and port, so the address is no pipe name.
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  return new ApiClient({
    server: new URL(`http://127.0.0.1:${port}`),
    origin: "test",
    namespace: undefined,
    credentials: async () => ({ headers: {}, agent }),
    refused: () => {},
  });
}

test.each<[string, string]>([
  ["nothing", ""],
  ["half a head", "HTTP/1.1 200 OK\r\ncontent-ty"],
  ["no HTTP", "\x16\x03\x01\x02\x00 garbage"],
  ["another HTTP", "HTTP/9.9 abc\r\n\r\n"],
  ["a head that is too large", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}\r\n\r\n`],
  ["the promise of an answer", "HTTP/1.1 100 Continue\r\n\r\n"],
  ["a switch to another protocol", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nxx"],
  ["a redirect", "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"],
  ["no content", "HTTP/1.1 204 No Content\r\n\r\n"],
  ["less than it promises", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"],
  ["a chunk that is none", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n"],
])("a server that answers with %s fails the request, and the caller hears of it", async (_what, bytes) => {
  const client = await serve(bytes);
  const signal = new AbortController().signal;
  const streamed = client.stream({ path: "/x", idleMs: 5000, signal, onChunk: () => {} });
  await expect(streamed).rejects.toThrow(/./);
  await expect(client.send({ method: "GET", path: "/x" })).rejects.toThrow(/./);
});

test("credentials that do not come fail the request in time", async () => {
  const client = new ApiClient({
    server: new URL("http://127.0.0.1:1"),
    origin: "a program",
    namespace: undefined,
    credentials: () => new Promise(() => {}),
    refused: () => {},
  });
  const signal = new AbortController().signal;
  const problem = "a program: no credentials within 30 ms";
  await expect(client.send({ method: "GET", path: "/x", timeoutMs: 30 })).rejects.toThrow(/30 ms/);
  await expect(client.stream({ path: "/x", idleMs: 30, signal, onChunk: () => {} })).rejects.toThrow(problem);
});

test("requests get their turn between any two pieces of a long list", async () => {
  const bytes = 4 * 1024 * 1024;
  const client = await listen((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n`);
    socket.end(Buffer.alloc(bytes, " "));
  });
  let turns = 0;
  let over = false;
  const turn = (): void => {
    turns++;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  let turnsBefore = -1;
  let pieces = 0;
  const signal = new AbortController().signal;
  await client.stream({
    ...{ path: "/api/v1/pods", idleMs: 10_000, signal },
    onChunk() {
      pieces++;
      expect(turns).toBeGreaterThan(turnsBefore);
      turnsBefore = turns;
    },
  });
  over = true;
  expect(pieces).toBeGreaterThan(10);
});
