import { defineConfig } from "vitest/config";

// Workspace packages resolve to their sources through this export condition, so tests need no build.
const conditions = ["@pointsman/source"];

export default defineConfig({
  resolve: { conditions: [...conditions, "module", "node", "development|production"] },
  ssr: { resolve: { conditions: [...conditions, "module", "node", "development|production"] } },
  test: {
    include: ["{apps,packages,tools}/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "tools/e2e/**"],
    environment: "node",
    pool: "forks",
    execArgv: ["--conditions=@pointsman/source"],
    // How long something may take says how busy the machine is, not whether it happens.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    coverage: {
      provider: "v8",
      reporter: ["text-summary", "json-summary"],
      include: ["packages/core/src/**", "packages/config/src/**"],
      exclude: ["**/*.test.ts", "**/index.ts"],
    },
  },
});
