import { connect } from "node:net";
import { errorText } from "@pointsman/core";
import type { Target } from "../upstream/target.ts";

const timeoutMs = 2000;

/** Tries whether somebody listens. Missing values: undefined when so, else why not. */
export function probe({ host, port }: Target): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const done = (problem: string | undefined): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.once("connect", () => done(undefined));
    socket.once("timeout", () => done("no connection in time"));
    socket.once("error", (error: NodeJS.ErrnoException) => done(error.code ?? errorText(error)));
  });
}
