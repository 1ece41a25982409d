import { formatProblem } from "../../../packages/config/src/index.ts";
import { usualPlugins } from "../../../packages/config/test/fake-plugins.ts";
import type { FuzzRandom } from "../fuzz-random.ts";
import type { FuzzTarget } from "../fuzz-target.ts";

const maxProblems = 1001;
const plugins = usualPlugins();
const types = [
  "queue-scorer",
  "prefix-cache-scorer",
  "max-score-picker",
  "file-discovery",
  "nothing",
  "label-selector-filter",
];

function configuration(random: FuzzRandom): string {
  const stated = random.list(6, () => {
    const type = random.pick(types);
    const parameters = random.pick([
      "",
      ", parameters: {path: /a}",
      ", parameters: {matchLabels: {a: b}}",
      ", parameters: {matchLengthWeight: 0.5}",
      ", parameters: []",
    ]);
    return `  - {type: ${type}${random.oneIn(2) ? `, name: ${random.pick(["a", "b", "c", "queue-scorer"])}` : ""}${parameters}}\n`;
  });
  const refs = random.list(4, () => {
    const weight = random.pick(["", ", weight: 2", ", weight: -1", ", weight: x", ", weight: .inf"]);
    return `      - {pluginRef: ${random.pick(["a", "b", ...types])}${weight}}\n`;
  });
  const extra = random.pick([
    "",
    "featureGates: [flowControl]\n",
    "dataLayer: {discovery: {pluginRef: file-discovery}}\n",
    "saturationDetector: {pluginRef: utilization-detector}\n",
    "anchors: &a [1, *b, {<<: *a}]\n",
    "parser: {pluginRef: openai-parser}\n",
    '"unknown": {a: "\\u0000"}\n',
  ]);
  return `apiVersion: ${random.pick(["llm-d.ai/v1alpha1", "v2", "inference.networking.x-k8s.io/v1alpha1"])}
kind: EndpointPickerConfig
plugins:
${stated.join("")}schedulingProfiles:
  - name: default
    plugins:
${refs.join("")}${extra}`;
}

const target: FuzzTarget = {
  summary: "configurations: loading never rejects, every problem has a place in the text, what was created is disposed",
  maxInputBytes: 8192,
  sample: (random) => Buffer.from(configuration(random)),
  async check(input) {
    const text = Buffer.from(input).toString();
    const { problems, graph, effective } = await plugins.load(text);
    if (problems.length > maxProblems) throw new Error(`${problems.length} problems`);
    // An empty text stands for the built-in configuration.
    const lines = text.split("\n");
    for (const problem of problems) {
      const line = lines[problem.line - 1];
      const isThere = line !== undefined && problem.column >= 1 && problem.column <= line.length + 1;
      if (!isThere && text !== "") throw new Error(`a problem is outside of the text: ${JSON.stringify(problem)}`);
      if (formatProblem(problem).split("\n").length !== 2) throw new Error("a problem takes more than two lines");
    }
    const hasErrors = problems.some(({ severity }) => severity === "error");
    if (hasErrors === (graph !== undefined) || hasErrors === (effective !== undefined)) {
      throw new Error(
        `with ${hasErrors ? "" : "no "}errors the graph is ${graph === undefined ? "not there" : "there"}`,
      );
    }
    await graph?.dispose();
    const created = plugins.events.splice(0).map((event) => event.split(" ")[0]);
    const disposed = created.filter((what) => what === "dispose").length;
    if (disposed * 2 !== created.length) throw new Error(`${disposed} of ${created.length - disposed} are disposed`);
    plugins.resolved.length = 0;
  },
};
export default target;
