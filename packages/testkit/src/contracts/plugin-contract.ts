import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type AnyPluginDefinition,
  isPluginDefinition,
  type PluginHost,
  type PluginKind,
  type Role,
  rolesOf,
} from "@pointsman/core";
import { expect } from "vitest";
import { type BuildPluginOptions, type BuiltPlugin, buildPlugin } from "../builders.ts";
import { type ParameterRow, parameterRows } from "../params-table.ts";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { trackTimers } from "./track-timers.ts";

/** What {@link pluginContract} takes beside the definition. */
export interface PluginContractOptions extends Omit<BuildPluginOptions, "clock"> {
  /** `import.meta.url` of the test file: the package around it is the plugin's. */
  readonly testFile: string;
  /** Puts the instance to work before its state is dumped: many requests, many endpoints. */
  readonly exercise?: (built: BuiltPlugin) => void | Promise<void>;
}

/** Longest JSON text of a plugin's dumped state. */
const maxDumpChars = 64 * 1024;

const rolesOfKind: { readonly [K in PluginKind]: readonly Role[] | undefined } = {
  filter: ["filter"],
  scorer: ["scorer"],
  picker: ["picker"],
  // The deprecated ones that only set headers for another handler.
  "profile-handler": ["profileHandler", "preRequest"],
  screener: ["screener"],
  producer: ["dataProducer", "requestHeaderProcessor"],
  admitter: ["admitter"],
  parser: ["parser"],
  discovery: ["discovery"],
  source: undefined,
  extractor: ["pollingExtractor", "endpointListener"],
  "saturation-detector": ["saturationDetector"],
  decider: ["disaggregationDecider"],
  "response-processor": ["responseBodyProcessor", "responseHeaderProcessor"],
  policy: undefined,
};

/** Registers the tests every plugin package must pass, whatever its kind. Call it at the top of a test file. */
export function pluginContract(definition: AnyPluginDefinition, options: PluginContractOptions): void {
  registerChecks(`plugin contract of ${definition.type}`, pluginChecks(definition, options));
}

/** The tests of {@link pluginContract}, for those who run them another way. */
export function pluginChecks(
  definition: AnyPluginDefinition,
  options: PluginContractOptions,
): readonly ContractCheck[] {
  const { testFile, exercise, ...build } = options;
  const checks: ContractCheck[] = [
    {
      name: "is a plugin named like its package and listed in it",
      run: () => {
        expect(isPluginDefinition(definition)).toBe(true);
        const manifest = readManifest(testFile);
        expect([definition.type, `@pointsman/${definition.type}`]).toContain(manifest.name);
        expect(manifest.types, "pointsman.types in package.json").toContain(definition.type);
        expect(definition.aliases ?? []).not.toContain(definition.type);
      },
    },
    {
      name: "says in one line what it does",
      run: () => expect(definition.summary).toMatch(/^\S[^\n]*\.$/),
    },
    {
      name: "takes the role of its kind",
      run: () =>
        withBuilt(definition, build, ({ instance }) => {
          const allowed = rolesOfKind[definition.kind];
          if (allowed !== undefined) expect(rolesOf(instance).some((role) => allowed.includes(role))).toBe(true);
        }),
    },
    {
      name: "asks, when made, for exactly the attributes it declares",
      run: async () => {
        const asked = new Set<string>();
        let declared: readonly string[] = [];
        const recording: AnyPluginDefinition = {
          ...definition,
          create: (params, host) => {
            declared = declaredKeys(definition, params, host.name);
            return definition.create(params, recordingHost(host, asked));
          },
        };
        await withBuilt(recording, build, () => {});
        expect([...asked].toSorted()).toEqual([...new Set(declared)].toSorted());
      },
    },
    {
      name: "cannot be made without its declarations",
      run: async () => {
        let declares = false;
        const bare: AnyPluginDefinition = {
          ...definition,
          consumes: () => ({}),
          produces: () => [],
          create: (params, host) => {
            declares = declaredKeys(definition, params, host.name).length > 0;
            return definition.create(params, host);
          },
        };
        const failure = await withBuilt(bare, build, () => {}).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (declares) expect(failure).toMatchObject({ code: "EPP_PLUGIN_UNDECLARED_ATTRIBUTE" });
        else expect(failure).toBeUndefined();
      },
    },
    {
      name: "leaves no timer of its own behind when disposed of",
      run: async () => {
        const timers = trackTimers();
        try {
          await withBuilt(definition, build, async (built) => {
            await exercise?.(built);
          });
          expect(timers.pending).toBe(0);
        } finally {
          timers.restore();
        }
      },
    },
    {
      name: "dumps bounded state that JSON can carry",
      run: () =>
        withBuilt(definition, build, async (built) => {
          await exercise?.(built);
          const state = built.instance.dumpState?.() ?? null;
          const text = JSON.stringify(state);
          expect(JSON.parse(text)).toEqual(state);
          expect(text.length).toBeLessThanOrEqual(maxDumpChars);
        }),
    },
    {
      name: "has a README that shows its type in a configuration",
      run: () => expect(readReadme(testFile)).toMatch(new RegExp(`type: "?${escapeRegExp(definition.type)}"?\\s`)),
    },
  ];
  const { params } = definition;
  if (params !== undefined) {
    const schema = params["~standard"].jsonSchema.input({ target: "draft-2020-12" });
    checks.push(
      {
        name: "refuses parameters it does not know",
        run: async () => {
          const outcome = await params["~standard"].validate({ ...objectOf(build.params), "no such parameter": 1 });
          expect(outcome.issues).toBeDefined();
        },
      },
      {
        name: "describes every parameter",
        run: () => {
          for (const row of parameterRows(schema)) expect(row.meaning, `description of ${row.path}`).not.toBe("");
        },
      },
      {
        name: "has a README that documents every parameter with its default",
        run: () => {
          const lines = readReadme(testFile).split("\n");
          for (const row of parameterRows(schema)) {
            expect(
              lines.some((line) => documents(line, row)),
              `${row.path}, default ${row.defaultText}`,
            ).toBe(true);
          }
        },
      },
    );
  }
  return checks;
}

async function withBuilt(
  definition: AnyPluginDefinition,
  options: BuildPluginOptions,
  use: (built: BuiltPlugin) => void | Promise<void>,
): Promise<void> {
  const built = buildPlugin(definition, options);
  try {
    await use(built);
  } finally {
    await built.instance.dispose?.();
  }
}

function declaredKeys(definition: AnyPluginDefinition, params: unknown, name: string): readonly string[] {
  const { required = [], optional = [] } = definition.consumes?.(params) ?? {};
  return [...required, ...optional, ...(definition.produces?.(params, name) ?? [])].map((key) => key.id);
}

/** A host that notes the keys it is asked for. */
function recordingHost(host: PluginHost, asked: Set<string>): PluginHost {
  return {
    ...host,
    endpointReader: (key) => {
      asked.add(key.id);
      return host.endpointReader(key);
    },
    endpointWriter: (key) => {
      asked.add(key.id);
      return host.endpointWriter(key);
    },
    requestReader: (key) => {
      asked.add(key.id);
      return host.requestReader(key);
    },
    requestWriter: (key) => {
      asked.add(key.id);
      return host.requestWriter(key);
    },
  };
}

function documents(line: string, row: ParameterRow): boolean {
  if (!line.includes(`\`${row.path}\``)) return false;
  return row.defaultText === "none" || line.includes(row.defaultText);
}

/** The folder of the nearest package.json above a file. */
function packageFolder(testFile: string): string {
  let folder = dirname(fileURLToPath(testFile));
  while (!existsSync(join(folder, "package.json"))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${testFile}`);
    folder = parent;
  }
  return folder;
}

function readManifest(testFile: string): { readonly name: unknown; readonly types: unknown } {
  const manifest = objectOf(JSON.parse(readFileSync(join(packageFolder(testFile), "package.json"), "utf8")));
  return { name: manifest["name"], types: objectOf(manifest["pointsman"])["types"] };
}

function readReadme(testFile: string): string {
  return readFileSync(join(packageFolder(testFile), "README.md"), "utf8");
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  // Whatever is no object has no fields.
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
