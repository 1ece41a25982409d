import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorText } from "@pointsman/core";
import { DemoProcess } from "../demo/demo-process.ts";
import { type DemoAnswer, demoRequests, recentDecisions, sendChat } from "../demo/demo-requests.ts";
import type { Command } from "./commands.ts";
import { complain, exitCode, print } from "./output.ts";
import { parseOnly } from "./parse-only.ts";
import { renderDecision } from "./render-decision.ts";

const demoFlags = [
  { name: "once", kind: "boolean", default: "false", help: "Exit after the requests." },
  {
    name: "port",
    kind: "integer",
    default: "8080",
    min: 0,
    max: 65535,
    help: "Port of the proxy; --once uses a free one unless given.",
  },
  { name: "servers", kind: "integer", default: "3", min: 1, max: 16, help: "Simulated model servers." },
] as const;

export const demoCommand: Command = {
  flags: demoFlags,
  async run(args) {
    const flags = parseOnly("demo", args, demoFlags);
    if (flags === undefined) return exitCode.badInput;
    const once = flags.values.get("once") === true;
    const port = once && !flags.given.has("port") ? 0 : Number(flags.values.get("port"));
    const directory = mkdtempSync(join(tmpdir(), "pointsman-demo-"));
    const started: DemoProcess[] = [];
    const interrupted = new Promise<void>((resolve) => {
      process.once("SIGINT", () => resolve());
      process.once("SIGTERM", () => resolve());
      process.once("SIGHUP", () => resolve());
      // Nobody reads on, as in `epp demo | head`.
      process.stdout.once("error", () => resolve());
    });
    try {
      const shown = runDemo({ directory, started, port, servers: Number(flags.values.get("servers")) });
      const stopped = interrupted.then(() => "interrupted" as const);
      const outcome = await Promise.race([shown, stopped]);
      if (outcome === "interrupted" || once) return exitCode.ok;
      print(`
Serving until Ctrl-C. Try:

  curl -i ${outcome.proxy}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model": "${outcome.model}", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}'

  apps/epp/bin/epp explain --address ${outcome.admin}
`);
      const died = Promise.race(started.map((child) => child.exited.then((code) => ({ name: child.name, code }))));
      const end = await Promise.race([stopped, died]);
      if (end === "interrupted") return exitCode.ok;
      complain(`epp demo: ${end.name} ended with code ${end.code}`);
      return exitCode.failed;
    } catch (thrown: unknown) {
      const text = errorText(thrown);
      complain(`epp demo: ${text}`);
      if (text.includes("--http-proxy-port")) complain("epp demo: choose another port with --port; 0 takes a free one");
      return exitCode.failed;
    } finally {
      await Promise.all(started.map((child) => child.stop()));
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

async function runDemo(options: {
  readonly directory: string;
  readonly started: DemoProcess[];
  readonly port: number;
  readonly servers: number;
}): Promise<{ readonly proxy: string; readonly admin: string; readonly model: string }> {
  const { directory, started } = options;
  const sims = Array.from({ length: options.servers }, (_, i) => {
    const name = `server-${i + 1}`;
    const child = DemoProcess.modelSim(name);
    started.push(child);
    return { name, child };
  });
  const endpoints = await Promise.all(
    sims.map(async ({ name, child }) => ({ name, url: new URL(String((await child.started)["url"])) })),
  );
  const file = join(directory, "endpoints.yaml");
  writeFileSync(
    file,
    `endpoints:\n${endpoints.map(({ name, url }) => `  - {name: ${name}, address: ${url.hostname}, port: "${url.port}"}\n`).join("")}`,
  );
  const epp = DemoProcess.epp([
    "serve",
    ...["--endpoints-file", file, "--bind-address", "127.0.0.1", "--secure-serving=false"],
    ...["--http-proxy-port", String(options.port), "--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"],
    "--drain-timeout=2s",
  ]);
  started.push(epp);
  const ports = await epp.started;
  const proxy = `http://127.0.0.1:${ports["proxy"]}`;
  const admin = `127.0.0.1:${ports["metrics"]}`;
  print(
    `${endpoints.length} simulated vLLM ${endpoints.length === 1 ? "server" : "servers"}: ${endpoints.map(({ name, url }) => `${name} ${url.host}`).join(", ")}`,
  );
  print(`endpoint picker with built-in proxy: ${proxy}\n`);
  print("  #  prompt       answer  server    prompt tokens (cached)  why");
  const model = await modelName(proxy);
  for (const [index, request] of demoRequests().entries()) {
    const answer = await sendChat(proxy, model, request);
    const [decision] = await recentDecisions(admin, 1, answer.requestId);
    const profile = decision?.profiles.find(({ primary }) => primary);
    const best = profile?.candidates.find(({ endpoint }) => endpoint === profile.winner);
    const why = best?.scores
      .map(({ plugin, score, weight }) => `${plugin?.name} ${score.toFixed(2)}x${weight}`)
      .join(" + ");
    print(
      `${String(index + 1).padStart(3)}  ${row(request.topic, answer)}  ${why ?? ""} = ${best?.total.toFixed(2) ?? ""}`,
    );
  }
  const [last] = await recentDecisions(admin, 1);
  print(`\nWhat \`epp explain\` says of the last one:\n\n${last === undefined ? "" : renderDecision(last)}`);
  return { proxy, admin, model };
}

function row(topic: string, answer: DemoAnswer): string {
  const tokens = `${answer.promptTokens} (${answer.cachedTokens})`;
  return `${topic.padEnd(11)}  ${answer.kind.padEnd(6)}  ${answer.server.padEnd(8)}  ${tokens.padEnd(22)}`;
}

async function modelName(proxy: string): Promise<string> {
  const response = await fetch(`${proxy}/v1/models`, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`GET ${proxy}/v1/models answered ${response.status}: ${await response.text()}`);
  const { data } = (await response.json()) as { readonly data: readonly { readonly id: string }[] };
  return data[0]!.id;
}
