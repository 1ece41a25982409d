import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { root } from "../workspace-packages.ts";

/** A copy of the working tree, uncommitted changes included, that a test may change; installed from pnpm's store. */
export class WorkspaceCopy {
  /** A folder of its own around the copy, for what a test writes beside it. */
  readonly #around: string = mkdtempSync(join(realpathSync(tmpdir()), "pointsman-copy-"));
  readonly directory: string = join(this.#around, "pointsman");
  /** Programs of the copy come first, the pinned Node among them. */
  readonly environment: NodeJS.ProcessEnv = {
    ...process.env,
    // Colours would stand between the words that tests look for.
    NO_COLOR: "1",
    CI: "true",
    PATH: [join(this.directory, "node_modules/.bin"), process.env["PATH"]].join(delimiter),
  };

  constructor() {
    // Marks of the runner would reach the programs that a test runs.
    for (const name of Object.keys(this.environment))
      if (/^(VITEST|NODE_PATH$)/.test(name)) delete this.environment[name];
    const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], { cwd: root });
    for (const file of listed.toString().split("\0")) {
      // Deleted files are listed until the deletion is committed.
      if (file !== "" && existsSync(join(root, file))) cpSync(join(root, file), join(this.directory, file));
    }
    this.run("git", ["init", "--quiet"]);
    this.run("npx", ["-y", "pnpm@12", "install", "--no-frozen-lockfile"]);
  }

  /** Runs a program in the copy. Returns what it printed; throws with it when the program fails. */
  run(command: string, args: readonly string[], cwd: string = this.directory): string {
    try {
      return execFileSync(command, args, { cwd, env: this.environment, encoding: "utf8", stdio: "pipe" });
    } catch (thrown: unknown) {
      const { stdout = "", stderr = "" } = thrown as { readonly stdout?: string; readonly stderr?: string };
      throw new Error(`${command} ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: thrown });
    }
  }

  remove(): void {
    rmSync(this.#around, { recursive: true, force: true });
  }
}
