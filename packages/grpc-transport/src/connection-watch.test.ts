import { expect, test } from "vitest";
import { ConnectionWatch, type Watched } from "./connection-watch.ts";
import { defaultHttp2Keepalive, defaultHttp2Limits } from "./http2-limits.ts";

const limits = { ...defaultHttp2Limits, headerTimeoutMs: 1000 };

/** A connection in a state that a test sets. */
class Connection implements Watched {
  isGreeted = true;
  headerBlockSinceMs: number | undefined;
  unfinishedFrame: object | undefined;
  isWriting = false;
  isPaused = false;
  readonly heard: string[] = [];
  sendKeepalive(): void {
    this.heard.push("keepalive");
  }
  timedOut(what: string): void {
    this.heard.push(what);
  }
  drainNoticed(): void {}
  destroy(): void {}
}

test("a frame has its time from when it was first seen, and the next frame its own", () => {
  const connection = new Connection();
  const watch = new ConnectionWatch(limits, defaultHttp2Keepalive, 0);
  const look = (nowMs: number): void => watch.look(connection, nowMs);
  for (let nowMs = 0; nowMs < 10_000; nowMs += 500) {
    connection.unfinishedFrame = {};
    look(nowMs);
  }
  connection.unfinishedFrame = undefined;
  look(10_000);
  connection.unfinishedFrame = {};
  look(20_000);
  look(20_999);
  expect(connection.heard).toEqual([]);
  look(21_000);
  expect(connection.heard).toEqual(["header-timeout"]);
});

test.each([
  ["a header block", { headerBlockSinceMs: 10_000 }],
  ["a frame", { unfinishedFrame: {} }],
])("%s is not late while the server itself does not read", (_what, state) => {
  const connection = Object.assign(new Connection(), state, { isPaused: true, isWriting: true });
  const watch = new ConnectionWatch(limits, defaultHttp2Keepalive, 0);
  for (let nowMs = 10_000; nowMs <= 15_000; nowMs += 500) {
    watch.written();
    watch.look(connection, nowMs);
  }
  connection.isPaused = false;
  watch.look(connection, 15_999);
  expect(connection.heard).toEqual([]);
  watch.look(connection, 16_000);
  expect(connection.heard).toEqual(["header-timeout"]);
});
