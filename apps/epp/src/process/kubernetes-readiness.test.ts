import { type Logger, silentLogger } from "@pointsman/core";
import { FakeClock } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { tellReadiness } from "./kubernetes-readiness.ts";

test("becoming ready and unready is told once each, with the reason; reasons that keep changing, now and then", () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const info: Logger["info"] = (fields, message) => lines.push(`${message} ${JSON.stringify(fields)}`);
  let reason: string | undefined = "a";
  tellReadiness({
    notReady: () => reason,
    readyFields: () => ({ endpoints: 3 }),
    clock,
    timers: clock.timers,
    logger: { ...silentLogger, info },
  });
  clock.advance(1000);
  for (const next of ["b", "c"]) {
    reason = next;
    clock.advance(4000);
  }
  expect(lines).toEqual(['not ready {"reason":"a"}']);
  clock.advance(2000);
  reason = undefined;
  clock.advance(1000);
  reason = "d";
  clock.advance(1000);
  expect(lines.slice(1)).toEqual(['not ready {"reason":"c"}', 'ready {"endpoints":3}', 'not ready {"reason":"d"}']);
});
