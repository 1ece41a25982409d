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
  if (profile.candidates.length > shown.length)
    lines.push(`    ... and ${profile.candidates.length - shown.length} more`);
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
  const header = [
    "endpoint",
    ...first.scores.map((score) => `${score.plugin?.name} x${trim(score.weight)}`),
    "total",
    "signals (age)",
  ];
  const rows = candidates.map((candidate) => [
    `${candidate.endpoint === profile.winner ? "* " : "  "}${candidate.endpoint}`,
    ...candidate.scores.map((score) => score.score.toFixed(2)),
    candidate.total.toFixed(2),
    candidate.signals.map(signalText).join("  "),
  ]);
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  return [header, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
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
