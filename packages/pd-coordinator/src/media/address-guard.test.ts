import fc from "fast-check";
import { expect, test } from "vitest";
import { isPublicAddress } from "./address-guard.ts";

test.each([
  "0.0.0.0",
  "127.0.0.1",
  "127.255.1.2",
  "169.254.169.254",
  "100.64.0.1",
  "100.127.255.255",
  "192.0.0.8",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::7f00:1",
  "fe80::1",
  "fe80::1%eth0",
  "fc00::1",
  "fdff::1",
  "ff02::1",
  "::ffff:127.0.0.1",
  "::ffff:a9fe:a9fe",
  "64:ff9b::127.0.0.1",
  "64:ff9b:1::1",
  "2002:7f00:1::1",
  "2001::1",
  "localhost",
  "",
  "127.1",
])("%j must never be reached", (address) => {
  expect([isPublicAddress(address, false), isPublicAddress(address, true)]).toEqual([false, false]);
});

test.each(["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "::ffff:10.0.0.1", "2002:a00:1::1"])(
  "%s is reached where private networks are allowed",
  (address) => {
    expect([isPublicAddress(address, false), isPublicAddress(address, true)]).toEqual([false, true]);
  },
);

test.each(["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])(
  "%s is reached",
  (address) => {
    expect(isPublicAddress(address, false)).toBe(true);
  },
);

test("an IPv4 address counts the same in every notation inside an IPv6 one", () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.boolean(), (address, allowPrivate) => {
      const parts = address.split(".").map(Number) as [number, number, number, number];
      const hex = `${((parts[0] << 8) | parts[1]).toString(16)}:${((parts[2] << 8) | parts[3]).toString(16)}`;
      const plain = isPublicAddress(address, allowPrivate);
      for (const inside of [`::ffff:${address}`, `::ffff:${hex}`, `64:ff9b::${hex}`, `2002:${hex}::1`]) {
        expect([inside, isPublicAddress(inside, allowPrivate)]).toEqual([inside, plain]);
      }
    }),
  );
});

test("what is no address is none", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(typeof isPublicAddress(text, true)).toBe("boolean");
    }),
  );
});
