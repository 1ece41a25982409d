import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { errorText } from "@pointsman/core";
import type { DemoProcess } from "./demo-process.ts";
import { type DemoStack, startDemoStack } from "./demo-stack.ts";

const usage = `Usage: pd-sidecar demo [--once] [--port N]

Starts two prefill and two decode servers (simulated), a sidecar before each decode server and an endpoint picker, and
sends short and long prompts.

  --once    exit after the requests
  --port N  port of the picker's proxy (8080; with --once a free one)
`;

const run = promisify(execFile);

/** Runs the demo. Resolves with the exit code. */
export async function demo(args: readonly string[]): Promise<number> {
  const once = args.includes("--once");
  const portAt = args.findIndex((arg) => arg === "--port" || arg.startsWith("--port="));
  const portText = portAt === -1 ? undefined : (args[portAt]!.split("=")[1] ?? args[portAt + 1]);
  const unknown = args.filter(
    (arg, i) => arg !== "--once" && i !== portAt && !(i === portAt + 1 && args[portAt] === "--port"),
  );
  if (unknown.length > 0 || (portAt !== -1 && !/^[0-9]{1,5}$/.test(portText ?? ""))) {
    if (unknown[0] === "--help" || unknown[0] === "-h") {
      process.stdout.write(usage);
      return 0;
    }
    const problem = unknown.length > 0 ? `unexpected argument ${JSON.stringify(unknown[0])}` : "--port needs a port";
    process.stderr.write(`pd-sidecar demo: ${problem}. See pd-sidecar demo --help.\n`);
    return 2;
  }
  const directory = mkdtempSync(join(tmpdir(), "pd-sidecar-demo-"));
  const started: DemoProcess[] = [];
  const interrupted = new Promise<"interrupted">((resolve) => {
    process.once("SIGINT", () => resolve("interrupted"));
    process.once("SIGTERM", () => resolve("interrupted"));
  });
  try {
    const port = portText === undefined ? (once ? 0 : 8080) : Number(portText);
    const shown = startDemoStack({ directory, started, port }).then(async (stack) => {
      const model = await modelName(stack.proxy);
      await show(stack, model);
      return { ...stack, model };
    });
    const outcome = await Promise.race([shown, interrupted]);
    if (outcome === "interrupted" || once) return 0;
    print(`
Serving until Ctrl-C. Try:

  curl -i ${outcome.proxy}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model": "${outcome.model}", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}'

  apps/epp/bin/epp explain --address ${outcome.admin}
  curl -s ${outcome.sidecarMetrics[0]} | grep pd_sidecar
`);
    const died = Promise.race(started.map((child) => child.exited.then((code) => ({ name: child.name, code }))));
    const end = await Promise.race([interrupted, died]);
    if (end === "interrupted") return 0;
    process.stderr.write(`pd-sidecar demo: ${end.name} ended with code ${end.code}\n`);
    return 1;
  } catch (thrown: unknown) {
    const text = errorText(thrown);
    const hint = text.includes("--http-proxy-port") ? "\nChoose another port with --port; 0 takes a free one." : "";
    process.stderr.write(`pd-sidecar demo: ${text}${hint}\n`);
    return 1;
  } finally {
    await Promise.all(started.map((child) => child.stop()));
    rmSync(directory, { recursive: true, force: true });
  }
}

const handbook = (topic: string): string =>
  Array.from({ length: 60 }, (_, i) => `Rule ${i + 1} of ${topic}: keep the log of day ${i * 7} complete.`).join("\n");

/** Each prompt, and what it is there to show. */
const prompts: readonly (readonly [what: string, content: string, stream: boolean])[] = [
  ["short", "Which track is free?", false],
  ["long, new", `${handbook("railways")}\nWhat does rule 3 say?`, false],
  ["the same again", `${handbook("railways")}\nWhat does rule 3 say?`, false],
  ["long, other", `${handbook("lighthouses")}\nWhich rules mention the log?`, true],
  ["its start again", `${handbook("lighthouses")}\nSummarise it.`, true],
  ["short", "And now?", true],
];

async function show(stack: DemoStack, model: string): Promise<void> {
  print(`simulated model servers: ${stack.servers.join(", ")}`);
  print(`endpoint picker with built-in proxy: ${stack.proxy}\n`);
  print("  prompt           answer  x-pd-way        decode server  prompt tokens (cached)");
  let longId = "";
  for (const [what, content, stream] of prompts) {
    const id = crypto.randomUUID();
    if (longId === "" && content.length > 1000) longId = id;
    const response = await fetch(`${stack.proxy}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-request-id": id },
      signal: AbortSignal.timeout(30_000),
      body: JSON.stringify({
        model,
        messages: [{ role: "user", content }],
        max_tokens: 16,
        ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
      }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the proxy answered ${response.status}: ${text}`);
    const [, promptTokens] = /"prompt_tokens":([0-9]+)/.exec(text) ?? [];
    const [, cachedTokens] = /"cached_tokens":([0-9]+)/.exec(text) ?? [];
    const way = response.headers.get("x-pd-way") ?? "?";
    const server = response.headers.get("x-model-sim-server") ?? "?";
    print(
      `  ${what.padEnd(15)}  ${(stream ? "SSE" : "JSON").padEnd(6)}  ${way.padEnd(14)}  ${server.padEnd(13)}  ${promptTokens} (${cachedTokens})`,
    );
  }
  const { stdout } = await run(stack.epp, ["explain", "--address", stack.admin, "--request-id", longId]);
  print(`\nWhat \`epp explain\` says of the first long one:\n\n${stdout}`);
}

async function modelName(proxy: string): Promise<string> {
  const response = await fetch(`${proxy}/v1/models`, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`GET ${proxy}/v1/models answered ${response.status}: ${await response.text()}`);
  const { data } = (await response.json()) as { readonly data: readonly { readonly id: string }[] };
  return data[0]!.id;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
