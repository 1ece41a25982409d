import fc from "fast-check";
import { expect, test } from "vitest";
import { hostProblem } from "./host-name.ts";

test.each(["10.0.0.1", "::1", "fd00::17", "::ffff:10.0.0.1", "localhost", "gpu-17", "gpu_17.example.net.", "a.b-c.d1"])(
  "%s is an address",
  (host) => expect(hostProblem(host)).toBeUndefined(),
);

test.each([
  ["[::1]", /brackets/],
  ["fe80::1%eth0", /zone/],
  ["", /neither/],
  ["10.0.0", /neither/],
  ["10.0.0.256", /neither/],
  ["0x7f", /neither/],
  ["host.0x", /neither/],
  ["a..b", /neither/],
  ["-a", /neither/],
  ["a b", /neither/],
  ["a:80", /neither/],
  ["http://a", /neither/],
  ["user@a", /neither/],
  ["a/b", /neither/],
  ["ä.example", /neither/],
  ["x".repeat(64), /neither/],
  [`${"x.".repeat(127)}x`, /neither/],
])("%j is no address", (host, problem) => expect(hostProblem(host)).toMatch(problem));

test("what counts as an address is the host that a URL has, too", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 12 }), fc.domain(), fc.ipV4(), fc.ipV6()), (host) => {
      if (hostProblem(host) !== undefined) return;
      const url = new URL(host.includes(":") ? `http://[${host}]:8000/` : `http://${host}:8000/`);
      expect(url.port).toBe("8000");
      if (!host.includes(":")) expect(url.hostname).toBe(host.toLowerCase());
    }),
  );
});
