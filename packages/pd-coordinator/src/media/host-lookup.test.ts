import { createSocket } from "node:dgram";
import { Cancellation } from "@pointsman/pd-sidecar/shared";
import { expect, onTestFinished, test } from "vitest";
import { HostLookup } from "./host-lookup.ts";

type Said = "silence" | "unknown" | readonly [number, number, number, number];

/** A name server that says the same of every name: an IPv4 address, that there is none, or nothing. */
async function nameServer(said: Said) {
  const asked: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const isV4 = question[question.length - 3] === 1;
    asked.push(isV4 ? "A" : "AAAA");
    if (said === "silence") return;
    const found = said !== "unknown" && isV4;
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(said === "unknown" ? 0x8183 : 0x8180, 2);
    head.writeUInt16BE(found ? 1 : 0, 6);
    head.writeUInt32BE(0, 8);
    const record = found ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...said]) : Buffer.alloc(0);
    socket.send(Buffer.concat([head, question, record]), port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  onTestFinished(() => void socket.close());
  return { servers: [`127.0.0.1:${socket.address().port}`], asked };
}

const noSystem = (): Promise<never> => Promise.reject(new Error("the system was asked"));

test("a name that name servers know is not asked of the system, which holds a thread for it", async () => {
  const { servers } = await nameServer([192, 0, 2, 7]);
  const lookup = new HostLookup({ servers, system: noSystem });
  expect(await lookup.resolve("images.example", new Cancellation())).toEqual(["192.0.2.7"]);
});

test("a name server that does not answer is not waited for on cancellation, and the system is not asked", async () => {
  const { servers, asked } = await nameServer("silence");
  const lookup = new HostLookup({ servers, system: noSystem });
  const cancellation = new Cancellation();
  const found = lookup.resolve("images.example", cancellation);
  await expect.poll(() => asked.length).toBe(2);
  cancellation.cancel();
  await expect(found).rejects.toMatchObject({ code: "ECANCELLED" });
});

test("names that only the system knows are asked of it one at a time, and not when nobody waits any more", async () => {
  const { servers, asked } = await nameServer("unknown");
  const calls: string[] = [];
  const finish: (() => void)[] = [];
  let running = 0;
  let most = 0;
  const system = (host: string): Promise<readonly string[]> => {
    calls.push(host);
    most = Math.max(most, ++running);
    return new Promise((resolve) => {
      finish.push(() => {
        running--;
        resolve(["192.0.2.8"]);
      });
    });
  };
  const lookup = new HostLookup({ servers, system });
  const a = lookup.resolve("a", new Cancellation());
  await expect.poll(() => calls).toEqual(["a"]);
  const leaving = new Cancellation();
  const b = lookup.resolve("b", leaving).catch((thrown: unknown) => String(thrown));
  const c = lookup.resolve("c", new Cancellation());
  await expect.poll(() => asked.length).toBe(6);
  // What the name server says of b and c is there before what it says of this one.
  await new HostLookup({ servers, system: async () => ["192.0.2.9"] }).resolve("d", new Cancellation());
  leaving.cancel();
  finish.shift()?.();
  expect(await a).toEqual(["192.0.2.8"]);
  await expect.poll(() => finish.length).toBe(1);
  finish.shift()?.();
  expect([await b, await c]).toEqual(["Error: nobody waits for the image", ["192.0.2.8"]]);
  expect([calls, most]).toEqual([["a", "c"], 1]);
});

test("a look-up of the system that fails lets the next one have its turn", async () => {
  const { servers } = await nameServer("unknown");
  let calls = 0;
  const system = async (): Promise<readonly string[]> => {
    if (++calls === 1) throw new Error("not found");
    return ["192.0.2.8"];
  };
  const lookup = new HostLookup({ servers, system });
  const [a, b] = await Promise.allSettled(["a", "b"].map((host) => lookup.resolve(host, new Cancellation())));
  expect([a!.status, b!.status].sort()).toEqual(["fulfilled", "rejected"]);
});
