import { afterEach, expect, test, vi } from "vitest";
import { DemoProcess } from "./demo-process.ts";

afterEach(() => vi.useRealTimers());

test("a program that ends before it is ready rejects with what it said, and leaves no timer", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const child = new DemoProcess(
    "brief",
    process.execPath,
    ["-e", 'console.error("port taken"); process.exit(3)'],
    () => false,
  );
  await expect(child.started).rejects.toThrow(/^brief ended with code 3:/);
  expect(vi.getTimerCount()).toBe(0);
});
