import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import { createServer, type Server, type Socket } from "node:net";

/** A request as a model server got it. */
export interface ServedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly trailers: IncomingMessage["trailers"];
  readonly remotePort: number;
}

/** A model server for tests, over node:http. */
export interface ModelServer {
  readonly port: number;
  readonly requests: ServedRequest[];
  readonly server: Server;
  close(): Promise<void>;
}

/** Starts a server that reads each request whole and then lets `answer` respond. */
export async function startModelServer(
  answer: (request: ServedRequest, res: ServerResponse, req: IncomingMessage) => void,
): Promise<ModelServer> {
  const requests: ServedRequest[] = [];
  const listener: RequestListener = (req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => {
      const request = {
        method: req.method ?? "",
        url: req.url ?? "",
        headers: req.headers,
        rawHeaders: req.rawHeaders,
        body: Buffer.concat(chunks).toString("utf8"),
        trailers: req.trailers,
        remotePort: req.socket.remotePort ?? 0,
      };
      requests.push(request);
      answer(request, res, req);
    });
  };
  const server = createHttpServer({ keepAliveTimeout: 0 }, listener);
  const port = await listen(server);
  return {
    port,
    requests,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A model server that speaks bytes. */
export interface RawServer {
  readonly port: number;
  readonly sockets: readonly Socket[];
  close(): Promise<void>;
}

/**
 * Starts a server that calls `onRequest` for each request whose head and announced body have arrived, with its number
 * on its connection, from 1.
 */
export async function startRawServer(
  onRequest: (socket: Socket, request: string, numberOnConnection: number) => void,
): Promise<RawServer> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    let text = "";
    let count = 0;
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
      for (;;) {
        const headEnd = text.indexOf("\r\n\r\n");
        if (headEnd === -1) return;
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, headEnd))?.[1] ?? 0);
        const end = headEnd + 4 + length;
        if (text.length < end) return;
        const request = text.slice(0, end);
        text = text.slice(end);
        onRequest(socket, request, ++count);
      }
    });
  });
  const port = await listen(server);
  return {
    port,
    sockets,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Resolves when the socket is closed, in whatever way. */
export function closing(socket: Socket): Promise<void> {
  socket.on("error", () => {});
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
  });
}

/** A port at which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  return port;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve(address.port);
    });
  });
}
