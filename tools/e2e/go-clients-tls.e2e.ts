import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type ChannelCredentials, Client, type ClientDuplexStream, credentials, Metadata } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { replyKind, requestBody, requestHeaders, responseBody, responseHeaders } from "../bench/ext-proc-messages.ts";
import { parts } from "./parts.ts";
import { Stack } from "./stack.ts";

const run = promisify(execFile);
const method = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
const pass = (bytes: Buffer): Buffer => bytes;

interface GoFigures {
  readonly requests: number;
  readonly errors: number;
  readonly first_error: string;
  readonly tls: string;
}

/** One request as a proxy sends it: the kinds of the replies, and the status of its end. */
function exchange(
  client: Client,
  number: number,
): Promise<{ readonly kinds: readonly string[]; readonly code: number }> {
  return new Promise((resolve, reject) => {
    const stream: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
      method,
      pass,
      pass,
      new Metadata(),
      { deadline: Date.now() + 60_000 },
    );
    const kinds: string[] = [];
    let sawAnswer = false;
    stream.write(requestHeaders({ ":method": "POST", ":path": "/v1/completions", "content-type": "application/json" }));
    stream.write(
      requestBody(Buffer.from(JSON.stringify({ model: "Qwen/Qwen3-8B", stream: true, prompt: `prompt ${number}` }))),
    );
    stream.on("data", (bytes: Buffer) => {
      const kind = replyKind(bytes) ?? "unknown";
      if (kinds.at(-1) !== kind) kinds.push(kind);
      if (kind === "request-body" && !sawAnswer) {
        sawAnswer = true;
        stream.write(responseHeaders({ ":status": "200", "content-type": "text/event-stream" }));
        for (let chunk = 0; chunk < 20; chunk++) {
          stream.write(responseBody(Buffer.from(`data: {"choices":[{"index":0,"text":"${chunk}"}]}\n\n`)));
        }
        stream.end();
      }
    });
    stream.on("error", reject);
    stream.on("status", ({ code }) => resolve({ kinds, code }));
  });
}

describe.each([
  ["http2", false],
  ["http2", true],
  ["grpc-js", false],
  ["grpc-js", true],
] as const)("the transport %s, TLS %s", (transport, tls) => {
  const stack = new Stack();
  beforeAll(async () => {
    await stack.startServers(2);
    await stack.startEpp({ tls, flags: [`--ext-proc-transport=${transport}`] });
  });
  afterAll(() => stack.stop());

  const goClient = async (...flags: readonly string[]): Promise<GoFigures> => {
    const { stdout } = await run(
      parts.grpcGoClient(),
      ["-addr", `127.0.0.1:${stack.ports.extProc}`, ...(tls ? ["-tls"] : []), ...flags],
      { timeout: 100_000 },
      // It prints its figures, then exits 1 when a request failed.
    ).catch((thrown: { readonly stdout?: string }) => ({ stdout: thrown.stdout ?? "" }));
    return JSON.parse(stdout) as GoFigures;
  };

  test.each<[string, readonly string[]]>([
    ["small requests", []],
    ["prompts of 1 MB and 300 chunks", ["-prompt", "1000000", "-chunks", "300", "-requests", "20", "-c", "4"]],
    ["messages compressed with gzip", ["-gzip"]],
    ["200 requests at a time on one connection", ["-c", "200", "-requests", "600"]],
  ])("serves grpc-go: %s, without an error", async (_what, flags) => {
    const figures = await goClient(...flags);
    expect(figures).toMatchObject({ errors: 0, first_error: "", tls: tls ? "TLS 1.3" : "" });
    expect(figures.requests).toBeGreaterThanOrEqual(20);
  });

  if (tls) {
    test("serves grpc-go over TLS 1.2", async () => {
      expect(await goClient("-max-tls", "1.2")).toMatchObject({ errors: 0, first_error: "", tls: "TLS 1.2" });
    });
    test("answers no client that speaks plaintext", async () => {
      const { stdout } = await run(parts.grpcGoClient(), [
        ...["-addr", `127.0.0.1:${stack.ports.extProc}`, "-requests", "1", "-c", "1"],
      ]).catch((thrown: { readonly stdout: string }) => thrown);
      expect(JSON.parse(stdout)).toMatchObject({ requests: 0, errors: 1 });
    });
  }

  test("serves grpc-js: 200 requests at a time, without an error", async () => {
    const security: ChannelCredentials = tls
      ? credentials.createSsl(null, null, null, { rejectUnauthorized: false })
      : credentials.createInsecure();
    const client = new Client(`127.0.0.1:${stack.ports.extProc}`, security);
    try {
      const ends = await Promise.all(Array.from({ length: 200 }, (_, number) => exchange(client, number)));
      for (const end of ends) {
        expect(end).toEqual({
          kinds: ["request-headers", "request-body", "response-headers", "response-body"],
          code: 0,
        });
      }
    } finally {
      client.close();
    }
  });

  test("nothing is left of all these requests", async () => {
    const running = async (): Promise<readonly string[]> =>
      (await stack.metrics()).match(/^llm_d_epp_request_running\{.*\} (\d+)$/gm) ?? [];
    expect((await running()).length).toBeGreaterThan(0);
    await expect.poll(async () => (await running()).filter((line) => !line.endsWith(" 0"))).toEqual([]);
    expect(stack.epp.lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });
});
