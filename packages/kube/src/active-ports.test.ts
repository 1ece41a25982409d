import { expect, test } from "vitest";
import { activePorts } from "./active-ports.ts";

test.each<[string, string | undefined, readonly number[]]>([
  ["no annotation: all", undefined, [0, 1, 2]],
  ["one port keeps its rank", "8001", [1]],
  ["order and repetition do not matter", "8002,8000,8002", [0, 2]],
  ["blanks", " 8000 , 8001", [0, 1]],
  ["what follows the digits", "8000x", [0]],
  ["ports that are no target ports", "9000,8001", [1]],
  ["empty: none", "", []],
  ["nonsense: none", "all", []],
  ["negative and zero: none", "-8000,0", []],
])("%s", (_what, annotation, expected) => {
  expect(activePorts(annotation, [8000, 8001, 8002])).toEqual(expected);
});
