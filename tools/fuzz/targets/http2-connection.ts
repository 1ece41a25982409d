import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { clientPreface } from "../../../packages/grpc-transport/src/http2-protocol.ts";
import {
  dataBytes,
  grpcMessage,
  headersBytes,
  RawHttp2Client,
  requestBlock,
} from "../../../packages/grpc-transport/test/raw-http2-client.ts";
import { TestServer } from "../../../packages/grpc-transport/test/serve-http2.ts";
import { echoPath } from "../../../packages/grpc-transport/test/test-service.ts";
import { FuzzRandom } from "../fuzz-random.ts";
import { cutBytes, type FuzzTarget } from "../fuzz-target.ts";
import { frameSequence } from "../inputs/http2-frames.ts";

/** Requests of one witness; a new one takes over then. */
const requestsPerWitness = 200;
const maxTurns = 20_000;

const server = await TestServer.start({ maxReceiveBytes: 4_194_304 });
let witness: RawHttp2Client | undefined;
let witnessId = 1;
const echo = requestBlock(echoPath);

/** Another connection is answered, as if nothing was wrong. */
async function othersAreServed(): Promise<void> {
  if (witnessId >= requestsPerWitness * 2) {
    witness?.close();
    witness = undefined;
  }
  if (witness === undefined) {
    witness = await RawHttp2Client.open(server.port);
    witnessId = 1;
  }
  witness.send(headersBytes(witnessId, echo), dataBytes(witnessId, grpcMessage(Buffer.from("well")), true));
  const { "grpc-status": status } = await witness.trailers(witnessId);
  if (status !== "0") throw new Error(`another connection's request ended with ${status}`);
  witnessId += 2;
}

const target: FuzzTarget = {
  summary: "an HTTP/2 server on a socket: others are served meanwhile, and nothing is left of the connection",
  sample: (random) => Buffer.concat([clientPreface, frameSequence(random)]),
  async check(input) {
    const random = FuzzRandom.of(input);
    const socket = connect(server.port, "127.0.0.1");
    // Its answers are read, and must be well-formed where they have header blocks.
    const client = await RawHttp2Client.open(server.port, { greeting: Buffer.alloc(0), socket });
    for (const piece of cutBytes(input, random)) {
      client.send(piece);
      if (random.oneIn(2)) await setImmediate();
    }
    await othersAreServed();
    // With a reset no port is left waiting; a socket that is ending anyway cannot be reset.
    if (socket.readyState === "open") socket.resetAndDestroy();
    else socket.destroy();
    for (let turn = 0; server.server.load().connections > 1; turn++) {
      if (turn === maxTurns) throw new Error("the connection is still there after it was closed");
      await setImmediate();
    }
    const { streams, unsentBytes, deadlines } = server.server.load();
    if (streams + unsentBytes + deadlines > 0) throw new Error(`left: ${JSON.stringify(server.server.load())}`);
    if (server.service.open !== 0) throw new Error(`${server.service.open} RPCs are open for the service`);
    const [thrown] = server.handlerErrors.splice(0);
    if (thrown !== undefined) throw thrown;
    server.violations.length = 0;
  },
  stop() {
    witness?.close();
    server.end();
  },
};
export default target;
