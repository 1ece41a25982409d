import { defineConfig } from "vitest/config";

/** Tests with real parts: one file at a time, since they share two cores and some measure. */
export default defineConfig({
  resolve: { conditions: ["@pointsman/source", "module", "node", "development|production"] },
  test: {
    include: ["tools/e2e/**/*.e2e.ts"],
    environment: "node",
    pool: "forks",
    fileParallelism: false,
    testTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    hookTimeout: 120_000,
  },
});
