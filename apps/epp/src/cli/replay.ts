import { errorText } from "@pointsman/core";
import { CapacityError, TraceError } from "@pointsman/replay";
import { ProgressBar } from "../replay/progress-bar.ts";
import { renderReplay } from "../replay/render-replay.ts";
import { replayJson } from "../replay/replay-json.ts";
import { ReplayConfigError } from "../replay/replay-picker.ts";
import { readReplayRequest, replayFlags } from "../replay/replay-request.ts";
import { runReplays } from "../replay/run-replays.ts";
import type { Command } from "./commands.ts";
import { complain, exitCode, print } from "./output.ts";

export const replayCommand: Command = {
  flags: replayFlags,
  async run(args) {
    const request = readReplayRequest(args);
    if ("problems" in request) {
      for (const problem of request.problems) complain(`epp replay: ${problem}`);
      return exitCode.badInput;
    }
    const progress = new ProgressBar(process.stderr);
    try {
      const report = await runReplays(request, progress);
      progress.clear();
      print(request.json ? replayJson(report) : renderReplay(report));
      return exitCode.ok;
    } catch (thrown: unknown) {
      progress.clear();
      if (thrown instanceof ReplayConfigError) complain(errorText(thrown));
      else if (thrown instanceof TraceError) complain(`epp replay: ${errorText(thrown)}`);
      else if (thrown instanceof CapacityError) {
        complain(`epp replay: ${errorText(thrown)}; give --rate-scale, or other --requests or --servers`);
      } else throw thrown;
      return exitCode.badInput;
    }
  },
};
