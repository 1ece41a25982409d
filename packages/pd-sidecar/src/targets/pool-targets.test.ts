import { silentLogger } from "@pointsman/core";
import { expect, test } from "vitest";
import { makeTarget } from "../upstream/target.ts";
import { type PoolMembers, type PoolTargetsOptions, targetsOfPool } from "./pool-targets.ts";

/** A pool whose state a test sets. */
class FakeMembers implements PoolMembers {
  readonly hosts = new Set<string>();
  isMissing = true;
  stopped = false;
  tellListed!: () => void;
  readonly listed: Promise<void> = new Promise((resolve) => {
    this.tellListed = resolve;
  });
  #wasKnown = false;

  know(...hosts: readonly string[]): void {
    for (const host of hosts) this.hosts.add(host);
    this.isMissing = false;
    this.#wasKnown = true;
    this.tellListed();
  }

  forget(): void {
    this.hosts.clear();
    this.isMissing = true;
  }

  missing = (): string | undefined => (this.isMissing ? "not there" : undefined);
  wasKnown = (): boolean => this.#wasKnown;
  has = (host: string): boolean => this.hosts.has(host);
  stop(): void {
    this.stopped = true;
  }
}

const options: PoolTargetsOptions = {
  required: false,
  waitMs: 1,
  openUntilKnown: true,
  signal: undefined,
  logger: silentLogger,
};
const required: PoolTargetsOptions = { ...options, required: true, openUntilKnown: false };
const member = makeTarget("10.0.0.1", 8000);
const stranger = makeTarget("10.0.0.9", 8000);

test("a pool that is required is waited for, however long it takes, and then only its pods are allowed", async () => {
  const members = new FakeMembers();
  let isOpen = false;
  const opening = targetsOfPool(members, required).finally(() => {
    isOpen = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isOpen).toBe(false);
  members.know("10.0.0.1");
  const targets = await opening;
  expect([targets.allows(member), targets.allows(stranger), targets.restricts()]).toEqual([true, false, true]);
});

test("a pool that is required and does not exist allows nothing", async () => {
  const members = new FakeMembers();
  members.tellListed();
  const targets = await targetsOfPool(members, required);
  expect([targets.allows(member), targets.restricts()]).toEqual([false, true]);
});

test("the wait for a pool that is required ends when the start is given up, and the pool is followed no more", async () => {
  const members = new FakeMembers();
  const giveUp = new AbortController();
  const opening = targetsOfPool(members, { ...required, signal: giveUp.signal });
  giveUp.abort();
  await expect(opening).rejects.toMatchObject({ code: "PD_SIDECAR_POOL" });
  expect(members.stopped).toBe(true);
});

test("a pool that is not required refuses nothing until it is known, and never opens again after that", async () => {
  const members = new FakeMembers();
  const targets = await targetsOfPool(members, options);
  expect([targets.allows(stranger), targets.restricts()]).toEqual([true, false]);
  members.know("10.0.0.1");
  // Nobody asks while it is known.
  members.forget();
  expect([targets.allows(member), targets.allows(stranger), targets.restricts()]).toEqual([false, false, true]);
  targets.stop();
  expect(members.stopped).toBe(true);
});

test("a pool that is not known adds nothing to a list beside it", async () => {
  const targets = await targetsOfPool(new FakeMembers(), { ...options, openUntilKnown: false });
  expect([targets.allows(stranger), targets.restricts()]).toEqual([false, true]);
});
