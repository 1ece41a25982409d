import fc from "fast-check";
import { expect, test } from "vitest";
import { parseTarget } from "./target.ts";

test.each([
  ["10.0.0.1:8000", "10.0.0.1", "10.0.0.1:8000"],
  [" http://Pod-1.ns.svc:80 ", "pod-1.ns.svc", "pod-1.ns.svc:80"],
  ["https://h:443", "h", "h:443"],
  ["[::1]:9", "::1", "[::1]:9"],
  ["[2001:DB8:0:0:0:0:0:1]:9", "2001:db8::1", "[2001:db8::1]:9"],
])("%s is the host %s", (text, host, hostPort) => {
  expect(parseTarget(text)).toMatchObject({ host, hostPort });
});

test("what is accepted names one host and one port, and reads back as itself", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), fc.nat(70_000), (noise, port) => {
      for (const text of [noise, `${noise}:${port}`, `a${noise}b:${port}`, `[${noise}]:${port}`]) {
        const target = parseTarget(text);
        if (target === undefined) continue;
        expect(target.host).not.toMatch(/[^a-z0-9.:_-]/);
        expect(target.port).toBeGreaterThan(0);
        expect(parseTarget(target.hostPort)).toEqual(target);
      }
    }),
  );
});
