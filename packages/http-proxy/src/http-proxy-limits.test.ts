import { noMetrics, silentLogger } from "@pointsman/core";
import { expect, test } from "vitest";
import { createHttpProxy } from "./http-proxy.ts";
import { defaultLimits, type HttpProxyLimits, resolveLimits } from "./http-proxy-limits.ts";

test("what is not given keeps its default", () => {
  expect(resolveLimits({ connectTimeoutMs: 7, maxConnections: undefined as never })).toEqual({
    ...defaultLimits,
    connectTimeoutMs: 7,
  });
});

test.each<[Partial<HttpProxyLimits>, string]>([
  [{ connectTimeoutMs: 0 }, 'limit "connectTimeoutMs" is 0; it must be an integer above 0 or infinity'],
  [{ maxHeaders: 1.5 }, 'limit "maxHeaders" is 1.5; it must be an integer above 0'],
  [{ maxHeaderBytes: Number.POSITIVE_INFINITY }, 'limit "maxHeaderBytes" is Infinity'],
  [{ clientStallTimeoutMs: Number.NaN }, 'limit "clientStallTimeoutMs" is NaN'],
  [{ headerTimeoutMs: 400_000 }, "above requestTimeoutMs"],
  [{ conectTimeoutMs: 1 } as never, 'limit "conectTimeoutMs" is not a limit; known: maxHeaderBytes'],
])("%o is refused before anything listens", (limits, problem) => {
  const create = (): unknown =>
    createHttpProxy({
      router: () => {
        throw new Error("unused");
      },
      host: "127.0.0.1",
      port: 0,
      logger: silentLogger,
      metrics: noMetrics,
      limits,
    });
  expect(create).toThrowError(
    expect.objectContaining({ code: "EPP_HTTP_PROXY_LIMIT", message: expect.stringContaining(problem) }),
  );
});

test("a time-out may be infinite", () => {
  expect(resolveLimits({ responseHeaderTimeoutMs: Number.POSITIVE_INFINITY }).responseHeaderTimeoutMs).toBe(
    Number.POSITIVE_INFINITY,
  );
});
