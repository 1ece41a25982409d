import { readEndpoints } from "../../../packages/discovery/file-discovery/src/read-endpoints.ts";
import type { FuzzRandom } from "../fuzz-random.ts";
import type { FuzzTarget } from "../fuzz-target.ts";

const maxNotes = 100;

function endpoint(random: FuzzRandom): string {
  const field = (name: string, values: readonly string[]): string =>
    random.oneIn(8) ? "" : `${name}: ${random.pick(values)}, `;
  return `  - {${field("name", ["a", "b", "sim-1", '"a b"', "7", "null", "x/y"])}${field("address", [
    "10.0.0.1",
    "::1",
    "host.example",
    "999.1.1.1",
    "[]",
    '""',
  ])}${field("port", ["8000", '"8000"', "0", "65536", "1.5", "x"])}${field("labels", [
    "{a: b}",
    "{a: 1}",
    "[]",
    "{<<: *x}",
  ])}${field("namespace", ["n", "null", "{}"])}}\n`;
}

const target: FuzzTarget = {
  summary: "endpoints files: reading never throws, every note has a place in the text, endpoints are complete",
  maxInputBytes: 8192,
  sample: (random) =>
    Buffer.from(
      `${random.pick(["endpoints:\n", "endpoints: &x\n", "other: 1\nendpoints:\n", "---\nendpoints:\n"])}${random
        .list(8, () => endpoint(random))
        .join("")}${random.pick(["", "---\nendpoints: []\n", "# end\n", "? [a]\n: b\n"])}`,
    ),
  check(input) {
    const text = Buffer.from(input).toString();
    const { items, problems, problemCount, warnings } = readEndpoints(text);
    if (problems.length > maxNotes || warnings.length > maxNotes || problems.length > problemCount) {
      throw new Error(`${problems.length} of ${problemCount} problems and ${warnings.length} warnings are kept`);
    }
    const lines = text.split("\n");
    for (const note of [...problems, ...warnings]) {
      const line = lines[note.line - 1];
      if (line === undefined || note.column < 1 || note.column > line.length + 1) {
        throw new Error(`a note is outside of the text: ${JSON.stringify(note)}`);
      }
      if (/\p{Cc}/u.test(note.text)) throw new Error(`a note has control characters: ${JSON.stringify(note)}`);
    }
    if (items === undefined && problemCount === 0) throw new Error("the file cannot be used and nothing says why");
    for (const { endpoint: read, id } of items ?? []) {
      if (read === undefined) {
        if (problemCount === 0) throw new Error("an endpoint is missing and nothing says why");
        continue;
      }
      const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65_535;
      const complete =
        isPort(read.port) && isPort(read.metricsPort) && read.address !== "" && read.metricsAddress !== "";
      if (!complete || id !== `${read.namespace}/${read.name}`)
        throw new Error(`not complete: ${JSON.stringify(read)}`);
    }
  },
};
export default target;
