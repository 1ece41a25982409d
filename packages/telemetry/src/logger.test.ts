import { expect, test } from "vitest";
import { createLogger, type LoggerOptions, type LogLevel } from "./index.ts";

function logger(options: Partial<LoggerOptions> = {}) {
  const lines: Record<string, unknown>[] = [];
  const dropped: LogLevel[] = [];
  const made = createLogger({
    level: "debug",
    destination: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) },
    onDropped: (level) => dropped.push(level),
    ...options,
  });
  return { log: made, lines, dropped };
}

test("of equal lines the first hundred of a second are written, then every hundredth", () => {
  let nowMs = 0;
  const { log, lines, dropped } = logger({ now: () => nowMs });
  const child = log.child({ logger: "child" });
  for (let i = 1; i <= 500; i++) (i % 2 === 0 ? child : log).error({ i }, "connection refused");
  expect(lines.map((line) => line["i"])).toEqual([...Array.from({ length: 100 }, (_, i) => i + 1), 200, 300, 400, 500]);
  expect(dropped).toHaveLength(396);
  log.error({}, "another message");
  log.info({}, "connection refused");
  expect(lines).toHaveLength(106);
  nowMs = 1000;
  log.error({ i: 501 }, "connection refused");
  expect(lines.at(-1)).toMatchObject({ i: 501 });
});

test("debug lines are not sampled", () => {
  const { log, lines } = logger({ now: () => 0 });
  for (let i = 0; i < 300; i++) log.debug({}, "decision");
  expect(lines).toHaveLength(300);
});

test("lines below the level do not count, and silent writes nothing", () => {
  const { log, lines, dropped } = logger({ level: "silent", now: () => 0 });
  for (let i = 0; i < 200; i++) log.error({}, "x");
  expect([lines, dropped]).toEqual([[], []]);
});

test("an error carries the stack of what was thrown, or of the place that reports it", () => {
  const { log, lines } = logger();
  log.error({ stack: "Error: a\n    at b" }, "failed");
  log.error({}, "failed");
  log.warn({}, "no stack");
  expect(lines[0]).toMatchObject({ stacktrace: "Error: a\n    at b" });
  expect(lines[0]).not.toHaveProperty("stack");
  expect(String(lines[1]!["stacktrace"]).split("\n")[0]).toMatch(/^at .*logger\.test\.ts:\d+:\d+/);
  expect(lines[2]).not.toHaveProperty("stacktrace");
});

test("the id of a request stands under its header's name", () => {
  const { log, lines } = logger();
  log.info({ requestId: "r-1", code: "BadRequest" }, "request rejected");
  log.child({ requestId: "r-2" }).error({}, "x");
  expect(lines[0]).toMatchObject({ "x-request-id": "r-1", code: "BadRequest" });
  expect(lines[0]).not.toHaveProperty("requestId");
  expect(lines[1]).toMatchObject({ "x-request-id": "r-2" });
});
