import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { dockerfileProblems, readDockerfile } from "./dockerfile.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const apps = ["epp", "pd-sidecar", "model-sim"] as const;
const dockerfileOf = (app: string): string => read(`apps/${app}/Dockerfile`);

test.each(apps)("the Dockerfile of %s keeps the rules", (app) => {
  expect(dockerfileProblems(dockerfileOf(app))).toEqual([]);
});

test.each(apps)("the image of %s runs the Node and is built by the pnpm of the workspace", (app) => {
  const { catalog } = parse(read("pnpm-workspace.yaml")) as { readonly catalog: Readonly<Record<string, string>> };
  const { packageManager } = JSON.parse(read("package.json")) as { readonly packageManager: string };
  const stages = readDockerfile(dockerfileOf(app)).filter(({ name }) => name === "FROM");
  for (const { value } of stages) expect(value).toMatch(new RegExp(`^node:${catalog["node"]}-[a-z]+-slim\\b`));
  const pnpms = [...dockerfileOf(app).matchAll(/pnpm@[\d.]+/g)].map(([text]) => text);
  expect(new Set(pnpms)).toEqual(new Set([packageManager]));
});

test.each(apps)("the image of %s deploys the package of that app, and starts its program", (app) => {
  const { name, bin } = JSON.parse(read(`apps/${app}/package.json`)) as {
    readonly name: string;
    readonly bin: Readonly<Record<string, string>>;
  };
  const text = dockerfileOf(app);
  expect(text).toContain(`--filter ${name} deploy --prod --legacy /app`);
  expect(text).toContain(`tsc -b apps/${app} `);
  // What the program's shell script starts in an installed package.
  const script = read(`apps/${app}/${Object.values(bin)[0]}`);
  expect(script).toContain('"$app/dist/main.js"');
  const v8Flags = [...script.matchAll(/^v8_flags=(.+)$/gm)].map(([, flag]) => flag);
  const command = ["node", ...v8Flags, "/app/dist/main.js"].map((word) => JSON.stringify(word));
  expect(text).toContain(`ENTRYPOINT [${command.join(", ")}]`);
});

test.each(apps)("files that the build of %s makes itself are not sent to it", (app) => {
  const ignored = read(`apps/${app}/Dockerfile.dockerignore`).split("\n");
  expect(ignored).toEqual(expect.arrayContaining(["**/node_modules", "**/dist", ".git"]));
});

const good = `FROM node:24.0.0-bookworm-slim AS build
RUN true
FROM node:24.0.0-bookworm-slim
COPY --from=build /app /app
USER 65532:65532
ENTRYPOINT ["node", "main.js"]
`;
test.each([
  ["FROM node:24.0.0-bookworm-slim\n", "FROM node\n", "without a fixed tag"],
  ["FROM node:24.0.0-bookworm-slim\n", "FROM node:latest\n", "without a fixed tag"],
  ["FROM node:24.0.0-bookworm-slim\n", "FROM registry.example/node:24.0.0\n", "names a registry"],
  ["USER 65532:65532\n", "", "USER"],
  ["USER 65532:65532", "USER root", "USER"],
  ["USER 65532:65532", "USER 0:0", "USER"],
  ["COPY --from=build /app /app", "ADD https://example.com/x /app", "ADD"],
  ["COPY --from=build /app /app", "COPY . /app", "copies from the context"],
  ["COPY --from=build", "COPY --from=other", "no stage other"],
  ['["node", "main.js"]', "node main.js", "exec form"],
  ["USER 65532:65532\n", "USER 65532:65532\nRUN chmod 777 /app\n", "RUN in the last stage"],
])("%j replaced by %j is noticed", (from, to, problem) => {
  expect(dockerfileProblems(good)).toEqual([]);
  expect(good).toContain(from);
  expect(dockerfileProblems(good.replace(from, to)).join("\n")).toContain(problem);
});
