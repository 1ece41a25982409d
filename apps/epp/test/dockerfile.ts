export interface Instruction {
  /** In capitals. */
  readonly name: string;
  readonly value: string;
}

/** Instructions of a Dockerfile, continued lines joined. Throws for a line that is none. */
export function readDockerfile(text: string): readonly Instruction[] {
  return text
    .replace(/^\s*#.*\n/gm, "")
    .replace(/\\\n\s*/g, " ")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const found = /^([A-Z]+)\s+(.+)$/.exec(line);
      if (found === null) throw new Error(`no instruction: ${line}`);
      return { name: found[1]!, value: found[2]! };
    });
}

/** What of a Dockerfile breaks our rules; empty when nothing does. */
export function dockerfileProblems(text: string): readonly string[] {
  const problems: string[] = [];
  const instructions = readDockerfile(text);
  const starts = instructions.flatMap(({ name }, at) => (name === "FROM" ? [at] : []));
  const stages = new Set<string>();
  for (const { name, value } of instructions) {
    if (name === "ADD") problems.push("ADD fetches and unpacks; COPY does not");
    if (name === "COPY") {
      const stage = /--from=(\S+)/.exec(value)?.[1];
      if (stage !== undefined && !stages.has(stage)) problems.push(`there is no stage ${stage}`);
    }
    if (name !== "FROM") continue;
    const [image = "", , stage] = value.split(/\s+/);
    if (!/:\d+\.\d+\.\d+/.test(image)) problems.push(`${image} is an image without a fixed tag`);
    if (image.includes("/")) problems.push(`${image} names a registry or an owner`);
    if (stage !== undefined) stages.add(stage);
  }
  if (starts.length < 2) problems.push("there is one stage: the image holds what only the build needs");
  const last = instructions.slice(starts.at(-1));
  const lastOf = (wanted: string): string | undefined => last.findLast(({ name }) => name === wanted)?.value;
  // A name cannot be checked by the kubelet's runAsNonRoot.
  if (!/^[1-9]\d*:[1-9]\d*$/.test(lastOf("USER") ?? "")) problems.push("USER is not a number other than 0");
  if (!/^\[("[^"]+"(, )?)+\]$/.test(lastOf("ENTRYPOINT") ?? "")) problems.push("ENTRYPOINT is not in exec form");
  for (const { name, value } of last) {
    if (name === "RUN") problems.push("RUN in the last stage");
    if (name === "COPY" && !value.includes("--from=")) problems.push("the last stage copies from the context");
  }
  return problems;
}
