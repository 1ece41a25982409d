import { type AddressInfo, createServer } from "node:net";
import { Cancellation } from "@pointsman/pd-sidecar/shared";
import { expect, onTestFinished, test } from "vitest";
import { guardedConnect } from "./guarded-connect.ts";
import type { MediaNetwork } from "./media-network.ts";

async function listener() {
  let connections = 0;
  let bytes = 0;
  const server = createServer((socket) => {
    connections++;
    socket.on("data", (part) => {
      bytes += part.length;
    });
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    get bytes() {
      return bytes;
    },
  };
}

const target = (host: string, port: number) => ({ host, port, encrypted: false, allowPrivate: false });

test("of a host's addresses only the allowed ones are connected to", async () => {
  const server = await listener();
  const network: MediaNetwork = {
    resolve: async () => ["127.0.0.9", "127.0.0.1"],
    mayReach: (address) => address === "127.0.0.1",
  };
  const connection = await guardedConnect(target("h", server.port), network, new Cancellation());
  expect(connection.kind).toBe("connected");
  if (connection.kind !== "connected") return;
  expect(connection.socket.remoteAddress).toBe("127.0.0.1");
  connection.socket.destroy();
});

test("the address of the connection itself is judged: a name that has changed its mind sends nothing", async () => {
  const server = await listener();
  const asked: string[] = [];
  const network: MediaNetwork = {
    resolve: async () => ["127.0.0.1"],
    // Allowed by name service, not when it is connected.
    mayReach: (address) => asked.push(address) === 1,
  };
  expect(await guardedConnect(target("h", server.port), network, new Cancellation())).toEqual({ kind: "blocked" });
  expect(asked).toEqual(["127.0.0.1", "127.0.0.1"]);
  expect(server.bytes).toBe(0);
});

test("an address in the place of a name is judged like one", async () => {
  const server = await listener();
  const network: MediaNetwork = { resolve: async () => ["127.0.0.1"], mayReach: () => false };
  const connection = await guardedConnect(target("127.0.0.1", server.port), network, new Cancellation());
  expect([connection.kind, server.connections]).toEqual(["blocked", 0]);
});

test("no address, no answer and nobody who waits are failures", async () => {
  const network = (addresses: readonly string[]): MediaNetwork => ({
    resolve: async () => addresses,
    mayReach: () => true,
  });
  expect((await guardedConnect(target("h", 1), network([]), new Cancellation())).kind).toBe("failed");
  expect((await guardedConnect(target("h", 1), network(["127.0.0.1"]), new Cancellation())).kind).toBe("failed");
  const cancelled = new Cancellation();
  cancelled.cancel();
  const server = await listener();
  expect((await guardedConnect(target("h", server.port), network(["127.0.0.1"]), cancelled)).kind).toBe("failed");
  expect(server.connections).toBe(0);
});
