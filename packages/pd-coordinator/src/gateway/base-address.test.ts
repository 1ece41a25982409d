import { expect, test } from "vitest";
import { parseBaseAddress } from "./base-address.ts";

test.each([
  ["http://gw", "gw", 80, false, "gw", ""],
  ["http://gw:80/", "gw", 80, false, "gw", ""],
  ["https://GW.ns.svc:8443/a/b/", "gw.ns.svc", 8443, true, "gw.ns.svc:8443", "/a/b"],
  ["http://[::1]:9", "::1", 9, false, "[::1]:9", ""],
])("%s is read", (text, host, port, encrypted, authority, path) => {
  expect(parseBaseAddress(text)).toMatchObject({ target: { host, port }, encrypted, authority, path });
});

test.each([
  "",
  "gw:80",
  "ftp://gw",
  "http://",
  "http://u:p@gw",
  "http://gw?x",
  "http://gw#x",
  "http://g w",
  "http://gw:0",
])("%j is refused", (text) => {
  expect(parseBaseAddress(text)).toBeUndefined();
});
