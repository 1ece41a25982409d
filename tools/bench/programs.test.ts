import { afterEach, expect, test } from "vitest";
import { readHttpLoad } from "./http-stack.ts";
import { findProgram } from "./programs.ts";

const variable = "POINTSMAN_BENCH_TEST_PROGRAM";
afterEach(() => {
  delete process.env[variable];
});

test("a program is found where its variable says", () => {
  process.env[variable] = process.execPath;
  expect(findProgram(variable, "Envoy")).toEqual({ path: process.execPath });
});

test("a program that is not there is not on this machine, with the variable that would say where", () => {
  const notSet = { missing: `Envoy is not on this machine (${variable} is not set).` };
  expect(findProgram(variable, "Envoy")).toEqual(notSet);
  process.env[variable] = "";
  expect(findProgram(variable, "Envoy")).toEqual(notSet);
  process.env[variable] = "/nowhere/envoy";
  expect(findProgram(variable, "Envoy")).toEqual({
    missing: `Envoy is not on this machine (${variable}=/nowhere/envoy does not exist).`,
  });
});

test("the figures of the HTTP load client are read from its line", () => {
  const line =
    "requests 6788 errors 2  rps 1697  first byte p50 6.77 p99 56.36 ms  total p50 6.83 p99 57.36 ms  " +
    "proxy cpu/req 0.237 ms  cores 0.40  backends map[0:1653 1:1212]";
  expect(readHttpLoad(`${line}\n`)).toEqual({
    requests: 6788,
    errors: 2,
    requestsPerSecond: 1697,
    firstByteP50Ms: 6.77,
    firstByteP99Ms: 56.36,
    cpuMsPerRequest: 0.237,
  });
  expect(readHttpLoad("first error: status 503")).toBeUndefined();
});
