import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { errorText, nearestName } from "@pointsman/core";
import { builtinPlugins } from "../apps/epp/src/registry/builtins.gen.ts";
import { newPluginKinds } from "./new-plugin-kinds.ts";
import { root, workspacePackages } from "./workspace-packages.ts";

/** A package to write, checked. */
export interface NewPluginRequest {
  readonly kind: string;
  /** Name without a scope. */
  readonly name: string;
  /** Where the package goes; does not exist, or is an empty folder. */
  readonly directory: string;
  /** Set for a package that stands alone, outside this workspace. */
  readonly scope: string | undefined;
  /** Make the new package known to the workspace. */
  readonly register: boolean;
}

/** What the command line asks for; or what is wrong with it, as a text. */
export type NewPluginCommand =
  | { readonly run: "help" }
  | { readonly run: "register" }
  | { readonly run: "write"; readonly request: NewPluginRequest }
  | { readonly problem: string };

export const newPluginUsage = `usage: tools/new-plugin KIND NAME [--no-register]
       tools/new-plugin KIND NAME --out DIR --scope @SCOPE
       tools/new-plugin --register

Writes a plugin that works, with its contract tests and README, to be changed into yours.

  KIND           ${Object.keys(newPluginKinds).join(", ")}
  NAME           the plugin's type: signal and kind, such as gpu-temperature-scorer
  --no-register  only write; \`tools/new-plugin --register\` makes all packages known later
  --register     links all packages and runs the generators
  --out DIR      write a package that stands alone, outside this workspace, into the new folder DIR
  --scope @SCOPE npm scope of that package: its type is @SCOPE/NAME`;

const namePattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const scopePattern = /^@[a-z0-9][a-z0-9._-]*$/;
const maxNameChars = 64;

/** Reads and checks a command line. Looks at the workspace, writes nothing. */
export function readNewPluginCommand(args: readonly string[]): NewPluginCommand {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (thrown: unknown) {
    return { problem: errorText(thrown) };
  }
  const { values, positionals } = parsed;
  if (values.help === true) return { run: "help" };
  const [kind, name, ...more] = positionals;
  if (values.register === true) {
    return positionals.length === 0 ? { run: "register" } : { problem: "--register takes no kind and no name" };
  }
  if (kind === undefined || name === undefined) return { problem: "a kind and a name are needed" };
  if (more.length > 0) return { problem: `one plugin at a time: ${JSON.stringify(more[0])} is too much` };
  const { out, scope } = values;
  const problem = kindProblem(kind) ?? nameProblem(kind, name) ?? placeProblem(out, scope);
  if (problem !== undefined) return { problem };
  if (out !== undefined) {
    const directory = resolve(out);
    return { run: "write", request: { kind, name, directory, scope, register: false } };
  }
  const directory = join(root, "packages", newPluginKinds[kind]!.folder, name);
  const taken = takenBy(name, directory);
  if (taken !== undefined) return { problem: taken };
  return { run: "write", request: { kind, name, directory, scope, register: values["no-register"] !== true } };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      out: { type: "string" },
      scope: { type: "string" },
      register: { type: "boolean" },
      "no-register": { type: "boolean" },
    },
  });
}

function kindProblem(kind: string): string | undefined {
  if (Object.hasOwn(newPluginKinds, kind)) return undefined;
  const kinds = Object.keys(newPluginKinds);
  const nearest = nearestName(kind, kinds);
  const hint = nearest === undefined ? "" : ` Nearest: ${nearest}.`;
  return `${JSON.stringify(kind)} is no kind of plugin.${hint} Kinds: ${kinds.join(", ")}.`;
}

function nameProblem(kind: string, name: string): string | undefined {
  if (!namePattern.test(name) || name.length > maxNameChars) {
    return (
      `${JSON.stringify(name)} is no name of a plugin: lower-case words of letters and digits, joined by "-", ` +
      `beginning with a letter, at most ${maxNameChars} characters (a scope goes into --scope)`
    );
  }
  const { endings } = newPluginKinds[kind]!;
  if (endings.some((ending) => name.endsWith(ending) && name.length > ending.length)) return undefined;
  return `the name of a ${kind} says what it reads and ends in ${endings.join(" or ")}: for instance my-signal${endings[0]}`;
}

function placeProblem(out: string | undefined, scope: string | undefined): string | undefined {
  if (out === undefined && scope === undefined) return undefined;
  if (out === undefined) return "--scope is for packages outside this workspace: give --out DIR, too";
  if (scope === undefined) {
    return "--out needs --scope @SCOPE: outside plugins are named by their package, such as @acme/gpu-scorer";
  }
  if (!scopePattern.test(scope)) return `${JSON.stringify(scope)} is no npm scope, such as @acme`;
  if (scope === "@pointsman") return "@pointsman is the scope of this workspace; leave out --out and --scope for it";
  const directory = resolve(out);
  if (!relative(realpathSync(root), realFolder(directory)).startsWith("..")) {
    return `${out} is inside this workspace; leave out --out and --scope to write a package of it`;
  }
  return occupied(directory) ? `${out} exists; name a new folder` : undefined;
}

/** A folder without symbolic links; for one that does not exist, below its nearest parent that does. */
function realFolder(directory: string): string {
  if (existsSync(directory) || dirname(directory) === directory) return realpathSync(directory);
  return join(realFolder(dirname(directory)), relative(dirname(directory), directory));
}

function occupied(directory: string): boolean {
  if (!existsSync(directory)) return false;
  try {
    return readdirSync(directory).length > 0;
  } catch {
    // A file.
    return true;
  }
}

function takenBy(name: string, directory: string): string | undefined {
  if (occupied(directory)) return `${relative(root, directory)} exists; choose another name, or remove it first`;
  for (const { manifest, directory: folder } of workspacePackages()) {
    if (manifest.name === `@pointsman/${name}` || manifest.pointsman?.types.includes(name) === true) {
      return `the name ${name} is taken by ${relative(root, folder)}`;
    }
  }
  const owner = builtinPlugins.find(({ aliases }) => aliases.includes(name));
  return owner === undefined ? undefined : `the name ${name} is taken: it is another name of ${owner.type}`;
}
