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
  destroy(): void {
    this.heard.push("destroyed");
  }
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

test.each([
  ["orderly and has written all", true, false, 1000],
  ["orderly and does not get a write out", true, true, 20_500],
  ["for a fault and has written all", false, false, 1000],
  ["for a fault and does not get a write out", false, true, 1000],
])("a connection that closes %s is destroyed after a time", (_how, finishesWrites, isWriting, expectedMs) => {
  const connection = Object.assign(new Connection(), { isWriting });
  const watch = new ConnectionWatch(limits, defaultHttp2Keepalive, 0);
  watch.closing(0, finishesWrites);
  let nowMs = 0;
  while (connection.heard.length === 0) {
    nowMs += 500;
    watch.look(connection, nowMs);
  }
  expect([connection.heard, nowMs]).toEqual([["destroyed"], expectedMs]);
});

test("a connection that closes is not destroyed while its writes get out", () => {
  const connection = Object.assign(new Connection(), { isWriting: true });
  const watch = new ConnectionWatch(limits, defaultHttp2Keepalive, 0);
  watch.closing(0, true);
  for (let nowMs = 0; nowMs <= 120_000; nowMs += 10_000) {
    watch.written();
    watch.look(connection, nowMs);
  }
  expect(connection.heard).toEqual([]);
  connection.isWriting = false;
  watch.look(connection, 120_999);
  expect(connection.heard).toEqual([]);
  watch.look(connection, 121_000);
  expect(connection.heard).toEqual(["destroyed"]);
});
