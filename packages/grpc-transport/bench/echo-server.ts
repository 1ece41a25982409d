// A server that echoes messages, for h2spec and for trials by hand: `node bench/echo-server.ts [port] [cert.pem key.pem]`.
import { readFileSync } from "node:fs";
import { createHttp2Server, type RpcMethod } from "../src/index.ts";

const echo: RpcMethod = (stream) => ({
  message: (bytes) => stream.send([bytes]),
  halfClose: () => stream.end(),
  cancelled: () => {},
});

const [port = "50051", cert, key] = process.argv.slice(2);
const server = createHttp2Server({
  host: "127.0.0.1",
  port: Number(port),
  methods: new Map([["/test.Echo/Stream", echo]]),
  maxReceiveBytes: 4_194_304,
  ...(cert === undefined || key === undefined
    ? {}
    : { tls: { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") } }),
  onViolation: (name) => console.log(`violation ${name}`),
});
const bound = await server.start();
console.log(`listening on 127.0.0.1:${bound.port}, pid ${process.pid}`);
process.on("SIGTERM", () => {
  server.drain(2000).then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
