import { Agent, createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ClusterAccess } from "../src/cluster-access.ts";

export interface FakeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

interface Event {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly path: string;
  readonly version: number;
  readonly object: FakeObject;
}

interface OpenWatch {
  readonly path: string;
  readonly selector: string;
  readonly response: ServerResponse;
}

/** A list that is read page by page. */
interface Pages {
  readonly version: string;
  readonly items: readonly FakeObject[];
}

/** What a test makes of a request before it is served; a returned value ends its way there. */
export type Intercept = (request: IncomingMessage, response: ServerResponse) => "done" | undefined;

/** An API server that keeps objects in memory and serves lists and watches over real HTTP, with the faults a test asks for. */
export class FakeApi {
  readonly requests: string[] = [];
  /** Paths that are served; others give 404. */
  readonly paths = new Set<string>();
  intercept: Intercept | undefined;
  /** Events up to this version are forgotten: watches from before it get 410. */
  forgottenVersion = 0;
  /** Ends watches on their own after this time, in order, with a bookmark. */
  watchMs: number | undefined;
  /** Answers of POST by path. */
  readonly posts = new Map<
    string,
    (body: Record<string, unknown>) => { readonly status: number; readonly body: unknown }
  >();
  readonly #objects = new Map<string, Map<string, FakeObject>>();
  readonly #events: Event[] = [];
  readonly #watches = new Set<OpenWatch>();
  readonly #lists = new Map<string, Pages>();
  #server: Server | undefined;
  #port = 0;
  #version = 100;

  constructor(...paths: readonly string[]) {
    for (const path of paths) this.paths.add(path);
  }

  get version(): number {
    return this.#version;
  }

  get watches(): number {
    return this.#watches.size;
  }

  /** Bytes that watches have been sent and have not taken yet. */
  get backlogBytes(): number {
    let bytes = 0;
    for (const { response } of this.#watches) bytes += response.writableLength;
    return bytes;
  }

  count(start: string): number {
    return this.requests.filter((line) => line.startsWith(start)).length;
  }

  /** Lists so far. */
  get lists(): number {
    return this.requests.filter((line) => !line.includes("watch=true") && line.startsWith("GET")).length;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => this.#serve(request, response));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Ends the server with all its connections; `start` brings it back at the same port. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.closeAllConnections();
    this.#watches.clear();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  access(): ClusterAccess {
    const agent = new Agent({ keepAlive: true });
    return {
      server: new URL(`http://127.0.0.1:${this.#port}`),
      origin: "fake",
      namespace: undefined,
      credentials: async () => ({ headers: { authorization: "Bearer fake" }, agent }),
      refused: () => {},
    };
  }

  put(path: string, object: FakeObject, quiet = false): FakeObject {
    const objects = this.#of(path);
    const key = object.metadata.name;
    const version = ++this.#version;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    const type = objects.has(key) ? "MODIFIED" : "ADDED";
    objects.set(key, stored);
    this.#note({ type, path, version, object: stored }, quiet);
    return stored;
  }

  /** Removes an object. `quiet`: open watches do not hear of it. */
  remove(path: string, name: string, quiet = false): void {
    const object = this.#of(path).get(name);
    if (object === undefined) return;
    this.#of(path).delete(name);
    const version = ++this.#version;
    const gone = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.#note({ type: "DELETED", path, version, object: gone }, quiet);
  }

  /** Cuts all watches off as a lost connection does. */
  breakWatches(): void {
    for (const { response } of this.#watches) response.destroy();
    this.#watches.clear();
  }

  /** Ends all watches in order. */
  endWatches(): void {
    for (const watch of this.#watches) this.#bookmark(watch, true);
    this.#watches.clear();
  }

  /** Writes a line into all open watches. */
  write(line: string): void {
    for (const { response } of this.#watches) response.write(line);
  }

  /** Events of the past are gone. */
  forget(): void {
    this.forgottenVersion = this.#version;
  }

  /** Drops past events; only watches from the present version on are complete afterwards. */
  clearHistory(): void {
    this.#events.length = 0;
  }

  #of(path: string): Map<string, FakeObject> {
    let objects = this.#objects.get(path);
    if (objects === undefined) {
      objects = new Map();
      this.#objects.set(path, objects);
    }
    return objects;
  }

  #note(event: Event, quiet: boolean): void {
    this.#events.push(event);
    if (quiet) return;
    for (const watch of this.#watches) this.#deliver(watch, event);
  }

  #deliver({ path, selector, response }: OpenWatch, event: Event): void {
    if (event.path !== path || !selected(event.object, selector)) return;
    response.write(`${JSON.stringify({ type: event.type, object: event.object })}\n`);
  }

  /** Pages of one list are cut from what there was at its start. */
  #list(path: string, selector: string, params: URLSearchParams, response: ServerResponse): void {
    const token = params.get("continue");
    const limit = Number(params.get("limit") ?? Number.POSITIVE_INFINITY);
    const pages = token === null ? this.#startList(path, selector) : this.#lists.get(token.split(":")[0]!);
    if (pages === undefined) {
      answer(response, 410, status(410, "Expired", "the continue token is too old"));
      return;
    }
    const from = Number(token?.split(":")[1] ?? 0);
    const left = pages.items.length - from - limit;
    const next = left > 0 ? { continue: `${pages.version}:${from + limit}`, remainingItemCount: left } : {};
    answer(response, 200, {
      kind: "List",
      apiVersion: "v1",
      metadata: { resourceVersion: pages.version, ...next },
      items: pages.items.slice(from, from + limit),
    });
  }

  #startList(path: string, selector: string): Pages {
    const items = [...this.#of(path).values()].filter((object) => selected(object, selector));
    const pages = { version: String(this.#version), items };
    this.#lists.set(pages.version, pages);
    return pages;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://fake");
    this.requests.push(`${request.method} ${request.url}`);
    if (this.intercept?.(request, response) === "done") return;
    const { pathname, searchParams } = url;
    if (request.method === "POST" || request.method === "PUT") {
      this.#post(request, response, pathname);
      return;
    }
    if (!this.paths.has(pathname)) {
      answer(response, 404, status(404, "NotFound", "the server could not find the requested resource"));
      return;
    }
    const selector = searchParams.get("labelSelector") ?? searchParams.get("fieldSelector") ?? "";
    if (searchParams.get("watch") !== "true") {
      this.#list(pathname, selector, searchParams, response);
      return;
    }
    this.#watch(pathname, Number(searchParams.get("resourceVersion")), selector, response);
  }

  #watch(path: string, from: number, selector: string, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (from < this.forgottenVersion) {
      response.end(
        `${JSON.stringify({ type: "ERROR", object: status(410, "Expired", "too old resource version") })}\n`,
      );
      return;
    }
    const watch: OpenWatch = { path, selector, response };
    for (const event of this.#events) if (event.version > from) this.#deliver(watch, event);
    this.#watches.add(watch);
    response.on("close", () => this.#watches.delete(watch));
    if (this.watchMs !== undefined) {
      setTimeout(() => {
        this.#bookmark(watch, true);
        this.#watches.delete(watch);
      }, this.watchMs).unref();
    }
  }

  #bookmark({ response }: OpenWatch, end: boolean): void {
    const line = `${JSON.stringify({ type: "BOOKMARK", object: { metadata: { resourceVersion: String(this.#version) } } })}\n`;
    if (end) response.end(line);
    else response.write(line);
  }

  #post(request: IncomingMessage, response: ServerResponse, path: string): void {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const handler = this.posts.get(`${request.method} ${path}`) ?? this.posts.get(path);
      const body = JSON.parse(Buffer.concat(chunks).toString() || "{}") as Record<string, unknown>;
      const reply = handler?.(body) ?? { status: 404, body: status(404, "NotFound", `no ${path}`) };
      answer(response, reply.status, reply.body);
    });
  }
}

export function status(code: number, reason: string, message: string): unknown {
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message };
}

export function answer(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function selected(object: FakeObject, selector: string): boolean {
  if (selector === "") return true;
  return selector.split(",").every((term) => {
    const [key = "", value = ""] = term.split("=");
    if (key === "metadata.name") return object.metadata.name === value;
    return object.metadata.labels?.[key] === value;
  });
}

/** Waits until something holds, as real time passes. */
export async function until(what: string, holds: () => boolean, timeoutMs = 20_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
