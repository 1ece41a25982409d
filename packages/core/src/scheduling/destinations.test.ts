import { expect, test } from "vitest";
import { buildEndpoint } from "../../../testkit/src/builders.ts";
import type { ProfileResult } from "../plugin/scheduling-plugins.ts";
import { destinationsOf } from "./destinations.ts";

const first = buildEndpoint(0, { address: "10.0.0.1", port: 8001 });
const second = buildEndpoint(1, { address: "fd00::1", port: 8002 });
const chosen: ProfileResult = { targets: [first, second], candidates: [], totals: new Float64Array(0) };
const result = { primaryProfile: "decode", profiles: new Map([["decode", chosen]]) };

test("without a port of its own a request goes to the targets themselves", () => {
  expect(destinationsOf(result)).toBe(chosen.targets);
});

test("a destination port stands in for that of every target; the targets keep theirs", () => {
  const destinations = destinationsOf({ ...result, destinationPort: 9000 });
  expect(destinations.map(({ hostPort }) => hostPort)).toEqual(["10.0.0.1:9000", "[fd00::1]:9000"]);
  expect(destinations.map(({ id, metadata }) => [id, metadata.port])).toEqual([
    [first.id, 9000],
    [second.id, 9000],
  ]);
  expect([first.hostPort, second.hostPort]).toEqual(["10.0.0.1:8001", "[fd00::1]:8002"]);
});

test("a result without its primary profile has no destination", () => {
  expect(destinationsOf({ primaryProfile: "other", profiles: result.profiles, destinationPort: 1 })).toEqual([]);
});
