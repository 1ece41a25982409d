/**
 * An API server of one pool and its pods, for figures: over TLS, with lists and watches of real-sized objects that are made
 * ready beforehand, so that most of the machine is left to what is measured. As a child with a message channel:
 * `node kube-api-process.ts <pods> <port of every pod>`. It sends its certificate and port, then answers each question
 * with a {@link KubeApiState}: `changes <a second>`, `relist`, `state`.
 */
import type { ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { generate } from "selfsigned";
import { realPod } from "../../packages/kube/bench/real-pod.ts";

/** What has been served so far. */
export interface KubeApiState {
  readonly podLists: number;
  readonly podWatches: number;
  readonly changes: number;
  /** Bytes that watches have not taken yet. */
  readonly backlogBytes: number;
}

const [pods, podPort] = process.argv.slice(2).map(Number) as [number, number];
const firstVersion = 1_000_000_000;
let version = firstVersion + pods;
let lists = 0;
let changes = 0;

interface Stored {
  ready: boolean;
  json: Buffer;
  /** Where the ten digits of the version stand. */
  versionAt: number;
}

function store(index: number, ofVersion: number, ready: boolean): Stored {
  const pod = realPod(index, ofVersion) as {
    status: { podIP: string; podIPs: unknown; conditions: { type: string; status: string }[] };
  };
  pod.status.podIP = "127.0.0.1";
  pod.status.podIPs = [{ ip: "127.0.0.1" }];
  for (const condition of pod.status.conditions)
    if (condition.type === "Ready") condition.status = ready ? "True" : "False";
  const json = Buffer.from(JSON.stringify(pod));
  return { ready, json, versionAt: json.indexOf(`"resourceVersion":"${ofVersion}"`) + `"resourceVersion":"`.length };
}

const stored = Array.from({ length: pods }, (_, i) => store(i, firstVersion + i, true));
const pool = (): object => ({
  apiVersion: "inference.networking.k8s.io/v1",
  kind: "InferencePool",
  metadata: { name: "pool", namespace: "inference", resourceVersion: String(firstVersion) },
  spec: { selector: { matchLabels: { app: "vllm" } }, targetPorts: [{ number: podPort }] },
});
const watches = new Map<ServerResponse, "pods" | "others">();

function list(response: ServerResponse, kind: string, items: readonly Buffer[]): void {
  response.setHeader("content-type", "application/json");
  response.write(`{"kind":"${kind}","apiVersion":"v1","metadata":{"resourceVersion":"${version}"},"items":[`);
  for (const [i, item] of items.entries()) {
    if (i > 0) response.write(",");
    response.write(item);
  }
  response.end("]}\n");
}

function change(index: number): void {
  // Every tenth change is one of readiness, the others touch nothing that is used.
  const ready = changes % 10 === 0 ? !stored[index]!.ready : stored[index]!.ready;
  stored[index] = store(index, ++version, ready);
  changes++;
  const line = Buffer.concat([Buffer.from('{"type":"MODIFIED","object":'), stored[index].json, Buffer.from("}\n")]);
  for (const [response, what] of watches) if (what === "pods") response.write(line);
}

/** Every pod gets another version, and connections break: whoever watches has to list again, and take everything in. */
function relist(): void {
  for (const { json, versionAt } of stored) json.write(String(++version), versionAt, "latin1");
  for (const response of watches.keys()) response.destroy();
  watches.clear();
}

let ticker: NodeJS.Timeout | undefined;
let next = 0;
function setRate(aSecond: number): void {
  clearInterval(ticker);
  if (aSecond > 0) ticker = setInterval(() => change(next++ % pods), 1000 / aSecond);
}

function state(): KubeApiState {
  let backlogBytes = 0;
  let podWatches = 0;
  for (const [response, what] of watches) {
    backlogBytes += response.writableLength;
    if (what === "pods") podWatches++;
  }
  return { podLists: lists, podWatches, changes, backlogBytes };
}

const { cert, private: key } = await generate([{ name: "commonName", value: "bench" }], {
  keyType: "ec",
  algorithm: "sha256",
  extensions: [{ name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }],
});
const server = createServer({ cert, key }, (request, response) => {
  const url = new URL(request.url ?? "/", "https://bench");
  const what = url.pathname.endsWith("/pods") ? "pods" : "others";
  if (what === "others" && !url.pathname.endsWith("/inferencepools")) {
    response.writeHead(404).end('{"kind":"Status","code":404,"reason":"NotFound","message":"not served here"}');
  } else if (url.searchParams.get("watch") === "true") {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    watches.set(response, what);
    const end = setTimeout(
      () => {
        // Nothing may be written behind the end, which takes a moment to arrive.
        watches.delete(response);
        response.end(`{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"${version}"}}}\n`);
      },
      Number(url.searchParams.get("timeoutSeconds")) * 1000,
    );
    response.on("close", () => {
      clearTimeout(end);
      watches.delete(response);
    });
  } else if (what === "pods") {
    lists++;
    list(
      response,
      "PodList",
      stored.map(({ json }) => json),
    );
  } else list(response, "InferencePoolList", [Buffer.from(JSON.stringify(pool()))]);
});
server.listen(0, "127.0.0.1", () => {
  process.send?.({ cert, port: (server.address() as AddressInfo).port });
});
process.on("message", (question: string) => {
  const [what, number] = question.split(" ");
  if (what === "changes") setRate(Number(number));
  else if (what === "relist") relist();
  process.send?.(state());
});
process.on("disconnect", () => process.exit());
