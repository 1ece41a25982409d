import type { Candidate, Decision, Profile, Signal } from "@pointsman/proto/admin";

/** Most candidates shown for a profile. */
const maxShown = 8;

/** A decision as a text of some lines: what came, what was left, how each candidate scored, who won. */
export function renderDecision(decision: Decision): string {
  const lines: string[] = [];
  const tokens = decision.promptTokens === undefined ? "" : `, about ${decision.promptTokens} prompt tokens`;
  const model =
    decision.targetModel === decision.model ? decision.model : `${decision.model} -> ${decision.targetModel}`;
  lines.push(`request ${decision.requestId || "(no id)"}  ${decision.at}  model ${model || "(none)"}${tokens}`);
  lines.push(...renderStages(decision));
  for (const profile of decision.profiles) lines.push(...renderProfile(profile));
  const time = `decided in ${decision.durationMs.toFixed(2)} ms`;
  lines.push(
    decision.httpStatus === undefined
      ? `  ${time}`
      : `  answered ${decision.httpStatus}: ${decision.outcome} (${time})`,
  );
  return lines.join("\n");
}

/** Stages of which a line names the plugins that let the request pass. Those of other stages show only their problems. */
const named: Readonly<Record<string, string>> = { producer: "producers", Admission: "admitted by" };

/** What happened outside the profiles, in the order it happened; plugins of one stage share a line. */
function renderStages({ stages, knownEndpoints }: Decision): string[] {
  const lines: string[] = [];
  let open: { readonly title: string; readonly parts: string[] } | undefined;
  const share = (title: string, part: string): void => {
    if (open?.title !== title) {
      flush();
      open = { title, parts: [] };
    }
    open.parts.push(part);
  };
  const flush = (): void => {
    if (open !== undefined) lines.push(`  ${open.title}: ${open.parts.join(", ")}`);
    open = undefined;
  };
  for (const stage of stages) {
    const { plugin, problem } = stage;
    const name = plugin === undefined ? "" : ` ${plugin.name}`;
    if (stage.stage === "ProfilePicker" && plugin !== undefined) {
      // The handler of a single profile always does the same.
      if (plugin.type !== "single-profile-handler") share(plugin.name, profilesText(stage.profiles));
    } else if (problem === "" && plugin !== undefined && named[stage.stage] !== undefined) {
      share(named[stage.stage]!, `${plugin.name} ${stage.durationMs.toFixed(2)} ms`);
    } else if (stage.remaining !== undefined) {
      flush();
      const of = stage.stage === "candidates" ? ` of ${knownEndpoints} known endpoints` : " stay";
      lines.push(`  ${stage.stage}${name}: ${stage.remaining}${of}${problem === "" ? "" : ` (${problem})`}`);
    } else if (problem !== "") {
      flush();
      lines.push(`  ${stage.stage}${name}: ${problem}`);
    }
  }
  flush();
  return lines;
}

/** What a profile handler wants at one of its turns. */
function profilesText(profiles: readonly string[]): string {
  return profiles.length === 0 ? "then no other profile" : `runs ${profiles.join(" and ")}`;
}

function renderProfile(profile: Profile): string[] {
  const role = profile.primary ? "" : profile.prefill ? " (computes the prompt for the primary one)" : " (not primary)";
  const lines = [`  profile ${profile.profile}${role}`];
  for (const filter of profile.filters) {
    const removed = filter.removed.length === 0 ? "" : `, removed ${filter.removed.join(", ")}`;
    lines.push(`    filter ${filter.plugin?.name}: ${filter.after} of ${filter.before} stay${removed}`);
  }
  if (profile.error !== "") lines.push(`    failed: ${profile.error}`);
  const shown = profile.candidates.slice(0, maxShown);
  lines.push(...table(shown, profile).map((line) => `    ${line}`));
  const more = profile.candidates.length - shown.length;
  if (more > 0) lines.push(`    ... and ${more} more`);
  for (const name of groupsOf(shown)) {
    lines.push(...groupTable(name, shown, profile).map((line) => `    ${line}`));
    if (more > 0) lines.push(`    ... and ${more} more`);
  }
  if (profile.winner !== "") {
    const rest = profile.runnerUp === "" ? "" : `; next best ${profile.runnerUp}`;
    lines.push(`    ${profile.picker?.name ?? "picked"} -> ${profile.winner}${rest}`);
  }
  return lines;
}

/** One row for each candidate: score x weight for each scorer, the total, the signals with their ages. */
function table(candidates: readonly Candidate[], profile: Profile): string[] {
  const first = candidates[0];
  if (first === undefined) return [];
  const groups = groupsOf(candidates);
  // Records keep the signals of the primary profile's candidates only.
  const hasSignals = candidates.some(({ signals }) => signals.length > 0);
  const header = [
    "endpoint",
    ...first.scores.map((score) => `${score.plugin?.name} x${trim(score.weight)}`),
    "total",
    ...(hasSignals ? ["signals (age)"] : []),
  ];
  const rows = candidates.map((candidate) => [
    marked(candidate, profile),
    ...candidate.scores.map((score) => score.score.toFixed(2)),
    candidate.total.toFixed(2),
    candidate.signals
      .filter(({ name }) => !groups.includes(groupOf(name)))
      .map(signalText)
      .join("  "),
  ]);
  return aligned([header, ...rows]);
}

/** Fewest parts of an estimate that make a table of their own: a line of them beside the scores would be too long to read. */
const minParts = 3;

/** `Estimate` of a signal called `Estimate.part`; empty for others. */
function groupOf(name: string): string {
  return name.slice(0, Math.max(0, name.indexOf(".")));
}

/** Estimates of which the candidates' signals hold many parts. */
function groupsOf(candidates: readonly Candidate[]): readonly string[] {
  const parts = new Map<string, number>();
  for (const { name } of candidates[0]?.signals ?? []) {
    const group = groupOf(name);
    if (group !== "") parts.set(group, (parts.get(group) ?? 0) + 1);
  }
  return Array.from(parts).flatMap(([name, count]) => (count >= minParts ? [name] : []));
}

/** One row for each candidate with the parts of an estimate, which is as old as the decision. */
function groupTable(group: string, candidates: readonly Candidate[], profile: Profile): string[] {
  const partsOf = ({ signals }: Candidate): readonly Signal[] => signals.filter(({ name }) => groupOf(name) === group);
  return aligned([
    [group, ...partsOf(candidates[0]!).map(({ name }) => name.slice(group.length + 1))],
    ...candidates.map((candidate) => [
      marked(candidate, profile),
      ...partsOf(candidate).map(({ value }) => (value === undefined ? "unknown" : threeDigits(Number(value)))),
    ]),
  ]);
}

/** An endpoint's name, with a mark at the winner's. */
function marked({ endpoint }: Candidate, { winner }: Profile): string {
  return `${endpoint === winner ? "* " : "  "}${endpoint}`;
}

function aligned(lines: readonly (readonly string[])[]): string[] {
  const header = lines[0] ?? [];
  const rows = lines.slice(1);
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return lines.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function signalText(signal: Signal): string {
  const value = signal.value === undefined ? "unknown" : trim(Number(signal.value), signal.value);
  const age = signal.ageMs === undefined ? "never" : `${Math.round(signal.ageMs)} ms`;
  return `${signal.name}=${value} (${age})`;
}

function trim(value: number, text: string = String(value)): string {
  return Number.isNaN(value) ? text : String(Math.round(value * 1000) / 1000);
}

/** As many digits as tell estimates apart. */
function threeDigits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
