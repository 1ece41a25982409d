import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { ClientReply } from "./client-reply.ts";

test("an answer that is cut while its connection ends is over", async () => {
  const begin = (req: IncomingMessage, res: ServerResponse): void => {
    const reply = new ClientReply(req, res, () => false);
    reply.sendHead(200, undefined, 100);
    reply.sendBytes(Buffer.from("abc"), false);
    req.socket.end();
    process.nextTick(() => reply.cut());
  };
  const answered = new Promise<ServerResponse>((resolve) => {
    const server = createServer((req, res) => {
      resolve(res);
      res.on("error", () => {});
      begin(req, res);
    });
    onTestFinished(() => void server.close());
    server.listen(0, "127.0.0.1", () => {
      const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
      onTestFinished(() => void client.destroy());
      client.on("error", () => {});
      client.write("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    });
  });
  const res = await answered;
  await new Promise((resolve) => res.once("close", resolve));
  expect(res.writableFinished).toBe(false);
});
