import { describe, test } from "vitest";

/** One promise of a contract, as a test that fails when a plugin breaks it. */
export interface ContractCheck {
  /** What a caller may rely on. */
  readonly name: string;
  /** Throws, or rejects, when the promise is broken. */
  readonly run: () => void | Promise<void>;
}

/** Registers each check as a vitest test under `title`. */
export function registerChecks(title: string, checks: readonly ContractCheck[]): void {
  describe(title, () => {
    for (const check of checks) test(check.name, check.run);
  });
}
