import { Agent, request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { needOpenFiles } from "./open-files.ts";
import { post, Stack, until } from "./stack.ts";

const streams = 2000;
/** Envoy has two sockets for each stream, one to the client and one to the model server. */
const openFiles = streams * 2 + 1000;
/** At a token a second, ten minutes: no answer ends before the test lets them all go on faster. */
const answerTokens = 600;

interface Ended {
  readonly status: number | undefined;
  readonly server: string | undefined;
  readonly events: number;
  readonly isDone: boolean;
  readonly problem: string;
}

/** One streamed answer; `opened` is called with its first bytes. */
function stream(base: string, agent: Agent, number: number, opened: () => void): Promise<Ended> {
  return new Promise((resolve) => {
    const body = JSON.stringify({
      model: "Qwen/Qwen3-8B",
      stream: true,
      max_tokens: answerTokens,
      messages: [{ role: "user", content: `question ${number}` }],
    });
    let text = "";
    const end = (status: number | undefined, server: string | undefined, problem: string): void => {
      const events = text.split("\n\n").filter((event) => event.startsWith("data: ")).length;
      resolve({ status, server, events, isDone: text.endsWith("data: [DONE]\n\n"), problem });
    };
    const sent = request(
      `${base}/v1/chat/completions`,
      { agent, method: "POST", headers: { "content-type": "application/json" } },
      (response) => {
        const server = String(response.headers["x-model-sim-server"]);
        response.setEncoding("utf8");
        response.once("data", opened);
        response.on("data", (part: string) => {
          text += part;
        });
        response.once("end", () => end(response.statusCode, server, response.statusCode === 200 ? "" : text));
        response.once("error", (error) => end(response.statusCode, server, error.message));
      },
    );
    sent.once("error", (error) => end(undefined, undefined, error.message));
    sent.end(body);
  });
}

describe.each([
  ["plaintext", false],
  ["TLS", true],
] as const)("Envoy asks the picker over %s", (_name, tls) => {
  const stack = new Stack();
  beforeAll(async () => {
    needOpenFiles(openFiles);
    // Each has room for all: on a slow machine, load that is seen late may send most of them to one.
    const room = ["--max-num-seqs", String(streams), "--kv-blocks", "200000"];
    await stack.startServers(4, [...room, "--decode-ms", "1000", "--stream-interval", "10"]);
    await stack.startEpp({ tls, flags: ["--enable-grpc-stream-metrics"] });
    await stack.startEnvoy([], tls);
  });
  afterAll(() => stack.stop());

  /** Sum of a gauge over its labels. */
  const gauge = async (name: string): Promise<number> => {
    const lines = (await stack.metrics()).split("\n").filter((line) => line.startsWith(name));
    expect(lines.length, `${name} is on the metrics page`).toBeGreaterThan(0);
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  };

  test("2,000 streamed answers at the same time, without an error", async () => {
    const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY });
    let open = 0;
    const ended: Ended[] = [];
    const all = Array.from({ length: streams }, (_, number) =>
      stream(stack.envoyUrl, agent, number, () => {
        open++;
      }).then((end) => ended.push(end)),
    );
    await until("all streams have begun", () => open + ended.length >= streams, 240_000);
    // None has ended: all are open at this moment.
    expect(ended).toEqual([]);
    expect(await gauge("llm_d_epp_request_running")).toBe(streams);
    expect(await gauge("llm_d_epp_extproc_streams_inflight")).toBe(streams);
    for (const { url } of stack.servers) await post(url.origin, "/control", { slowFactor: 0.01 });
    await Promise.all(all);
    agent.destroy();
    expect(ended.filter(({ status }) => status !== 200).slice(0, 3)).toEqual([]);
    expect(ended.filter(({ problem }) => problem !== "").slice(0, 3)).toEqual([]);
    expect(ended.filter(({ isDone, events }) => !isDone || events < 3)).toEqual([]);
    expect(new Set(ended.map(({ server }) => server)).size).toBe(4);
    await until("the picker has none open", async () => (await gauge("llm_d_epp_extproc_streams_inflight")) === 0);
    expect(await gauge("llm_d_epp_request_running")).toBe(0);
    expect(await stack.metrics()).not.toContain("llm_d_epp_http2_violations_total{");
    expect(stack.epp.lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  }, 480_000);
});
