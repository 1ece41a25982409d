import { expect, test } from "vitest";
import { kubernetesChoice } from "./kubernetes-options.ts";
import { parseFlags } from "./parse-flags.ts";

function choice(args: readonly string[], environment: Record<string, string> = {}) {
  const parsed = parseFlags(args);
  if ("problems" in parsed) throw new Error(parsed.problems.join("\n"));
  return kubernetesChoice(parsed, environment);
}
const selector = (...more: string[]): string[] => ["--endpoint-selector=app=x", ...more];

test("the name of an InferencePool with its group", () => {
  expect(choice(["--pool-name=p"])).toMatchObject({
    kubernetes: { kind: "InferencePool", name: "p", group: "inference.networking.k8s.io" },
    poolName: "p",
    problems: [],
  });
  expect(choice(["--pool-name=p", "--pool-group=g.io"]).kubernetes).toMatchObject({ group: "g.io" });
});

test("neither a name nor a selector: no pool in Kubernetes", () => {
  expect(choice([])).toEqual({ kubernetes: undefined, poolName: undefined, problems: [], warnings: [] });
});

test("a selector with ports; the pool is called like the Deployment of the picker's pod", () => {
  const { kubernetes, poolName, problems } = choice(selector("--endpoint-target-ports=8000,8001,8000"), {
    POD_NAME: "my-epp-7d4b9c6f5-x2x4z",
  });
  expect(problems).toEqual([]);
  expect(kubernetes).toEqual({ kind: "selector", selector: "app=x", targetPorts: [8000, 8001] });
  expect(poolName).toBe("my-epp");
});

test.each<[readonly string[], Record<string, string>, string]>([
  [["--pool-name=p", "--endpoint-selector=app=x"], {}, "exclude each other"],
  [selector("--endpoint-target-ports=8000"), {}, "POD_NAME"],
  [selector("--endpoint-target-ports=8000"), { POD_NAME: "epp-0" }, '"epp-0"'],
  [selector(), { POD_NAME: "a-b-c" }, "--endpoint-target-ports"],
  [selector("--endpoint-target-ports=0"), { POD_NAME: "a-b-c" }, "no list of ports"],
  [selector("--endpoint-target-ports=8000,http"), { POD_NAME: "a-b-c" }, "no list of ports"],
  [selector("--endpoint-target-ports=70000"), { POD_NAME: "a-b-c" }, "no list of ports"],
  [selector("--endpoint-target-ports=1,2,3,4,5,6,7,8,9"), { POD_NAME: "a-b-c" }, "at most 8"],
  [["--endpoint-selector=app=x,,", "--endpoint-target-ports=1"], { POD_NAME: "a-b-c" }, "cannot be read"],
])("%j is refused: %j %s", (args, environment, text) => {
  const { problems } = choice(args, environment);
  expect(problems.join("\n")).toContain(text);
});

test("ports without a selector have no effect, which is said", () => {
  expect(choice(["--endpoint-target-ports=8000"]).warnings).toHaveLength(1);
});
