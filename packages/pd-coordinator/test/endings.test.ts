import { connect } from "node:net";
import { expect, test } from "vitest";
import type { CoordinatorTracing } from "../src/tracing.ts";
import { Bench, until } from "./support/bench.ts";
import { chat, completion, prefilled, rendered } from "./support/bodies.ts";
import { type Answer, hang } from "./support/fake-gateway.ts";

const answers = { render: rendered, prefill: prefilled, decode: completion };
const sideBySide = "  kv_connector: kv-sglang\n  sglang_bootstrap_host: p.test";

test("a decode that does not begin in decode_timeout ends the prefill beside it", async () => {
  const bench = await Bench.start({
    pipeline: sideBySide,
    gateway: "  decode_timeout: 500ms",
    answers: { ...answers, prefill: hang, decode: hang },
  });
  expect((await bench.post(chat)).status).toBe(502);
  await until("prefill is cut", () => bench.gateway.only("prefill").cut);
});

test("a prefill that outlives its request ends when the coordinator stops, its span with it", async () => {
  const { log, tracing } = spanLog();
  const dependencies = { tracing };
  const bench = await Bench.start({ pipeline: sideBySide, answers: { ...answers, prefill: hang }, dependencies });
  expect((await bench.post(chat)).status).toBe(200);
  await until("prefill is asked", () => bench.gateway.of("prefill").length === 1);
  await until("nothing is open", () => bench.coordinator.openRequests === 0);
  expect(bench.gateway.only("prefill").cut).toBe(false);
  expect(await bench.coordinator.stop(10_000)).toBe(0);
  expect(log).toEqual(["render", "decode", "request", "prefill", "shutdown"]);
  await until("prefill is cut", () => bench.gateway.only("prefill").cut);
});

test("a miss of the conditional decode whose body breaks off is a miss", async () => {
  const conditional: Answer = (_seen, res) => {
    res.writeHead(412, { "content-length": 100 }).write("no dec", () => setTimeout(() => res.destroy(), 20));
  };
  const bench = await Bench.start({
    steps: `
    - {type: conditional-decode}
    - {type: prefill}
    - {type: decode}`,
    answers: { ...answers, conditional },
  });
  const answer = await bench.post(chat);
  expect([answer.status, JSON.parse(answer.text)]).toEqual([200, completion.body]);
  expect(await bench.metric("pd_coordinator_conditional_decodes_total", { result: "miss" })).toBe(1);
});

test("a body that ends after read_timeout has been answered is not served", async () => {
  const bench = await Bench.start({ answers, server: "  read_timeout: 1s" });
  const socket = connect(bench.coordinator.port, "127.0.0.1");
  const closed = new Promise((resolve) => socket.on("close", resolve));
  const body = JSON.stringify(chat);
  let text = "";
  socket.on("data", (part: Buffer) => {
    text += part.toString();
    socket.write("0\r\n\r\n");
  });
  socket.write(
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-request-id: late\r\ntransfer-encoding: chunked\r\n\r\n" +
      `${body.length.toString(16)}\r\n${body}\r\n`,
  );
  await closed;
  expect(text).toMatch(/^HTTP\/1.1 400 /);
  // Whatever the first request had begun is seen before this one's answer.
  expect((await bench.post(chat, { "x-request-id": "next" })).status).toBe(200);
  expect(bench.gateway.seen.map(({ headers }) => headers["x-request-id"])).toEqual(["next", "next", "next"]);
});

test.each(["prefill", "decode"] as const)(
  "spans of requests that are cut in %s end before tracing does",
  async (phase) => {
    const { log, tracing } = spanLog();
    const bench = await Bench.start({ answers: { ...answers, [phase]: hang }, dependencies: { tracing } });
    const open = bench.open(chat);
    await until("the phase is asked", () => bench.gateway.of(phase).length === 1);
    log.length = 0;
    expect(await bench.coordinator.stop(10)).toBe(1);
    await open.ended;
    expect(log.at(-1)).toBe("shutdown");
    expect(log.slice(0, -1).sort()).toEqual([phase, "request"]);
  },
);

/** Notes which spans end, and when tracing does. */
function spanLog(): { readonly log: string[]; readonly tracing: CoordinatorTracing } {
  const log: string[] = [];
  const tracing: CoordinatorTracing = {
    begin: () => ({
      stage: (name) => ({ headers: new Map(), end: () => void log.push(name) }),
      end: () => void log.push("request"),
    }),
    shutdown: async () => void log.push("shutdown"),
  };
  return { log, tracing };
}
