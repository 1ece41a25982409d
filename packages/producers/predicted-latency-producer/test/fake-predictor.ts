import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a fake predictor got. */
export interface Received {
  readonly path: string;
  /** The parsed body. */
  readonly body: { readonly requests?: readonly Row[]; readonly entries?: readonly Row[] };
}

export type Row = Readonly<Record<string, number | string>>;

/** Answers a call. */
export type Answer = (received: Received, response: ServerResponse) => void;

/** A latency predictor on 127.0.0.1 that keeps what it gets. */
export interface FakePredictor {
  readonly url: string;
  readonly received: Received[];
  answer: Answer;
  close(): Promise<void>;
}

/** Predicts 10 ms for each waiting request and 1 ms a token for each running one; takes every training row. */
export const sound: Answer = ({ path, body }, response) => {
  if (path.endsWith("/add_training_data_bulk")) {
    response.writeHead(202).end('{"message":"ok"}');
    return;
  }
  const predictions = (body.requests ?? []).map((row) => ({
    ttft_ms: Number(row["num_request_waiting"]) * 10,
    tpot_ms: Number(row["num_request_running"]),
    model_version: "1",
  }));
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ predictions }));
};

export async function startFakePredictor(): Promise<FakePredictor> {
  const received: Received[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const one = { path: request.url ?? "", body: JSON.parse(Buffer.concat(chunks).toString()) as Received["body"] };
      received.push(one);
      predictor.answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const predictor: FakePredictor = {
    url: `http://127.0.0.1:${port}`,
    received,
    answer: sound,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return predictor;
}

/** Waits until something is so; what the network does is not in a fake clock's hands. */
export async function until(condition: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > giveUpMs) throw new Error("it did not come to that within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
