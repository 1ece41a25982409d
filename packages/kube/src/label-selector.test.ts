import { expect, test } from "vitest";
import { selectorProblem } from "./label-selector.ts";

test.each([
  "a=b",
  "a==b",
  "a != b",
  "a",
  "!a",
  "a in (x, y),b notin (z)",
  "x.io/app=v-1,b",
  "a=",
  "n>5,m<7",
  "a in (x)",
])("%s is a selector", (text) => {
  expect(selectorProblem(text)).toBeUndefined();
});

test.each([
  "",
  " ",
  "a=b,",
  "a=b c",
  "a in x",
  "a in ()x",
  "-a=b",
  "a=b/c",
  "=b",
  "a>b",
  "x/y/z=1",
  `a=${"b".repeat(5000)}`,
])("%s is none", (text) => {
  expect(selectorProblem(text)).toBeTypeOf("string");
});
