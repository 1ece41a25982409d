import { randomStream } from "../random-stream.ts";
import { firstTokenSecondsBounds } from "./histogram.ts";
import { numberText } from "./number-text.ts";

const handlers = ["/v1/completions", "/v1/chat/completions", "/v1/models", "/tokenize", "/health", "/metrics"];
const methods = ["GET", "POST"];

/**
 * Makes at least `bytes` bytes (at most 8 KiB more) of valid series that no scraper of model servers looks for: HTTP
 * statistics in families named after `prefix`. Equal arguments give equal text.
 */
export function fillerPage(bytes: number, seed: number, prefix: string): string {
  const parts: string[] = [];
  const draw = randomStream(seed, "filler");
  for (let written = 0, family = 0; written < bytes; family += 1) {
    const name = family === 0 ? `${prefix}_seconds` : `${prefix}_${family}_seconds`;
    let text = `# HELP ${name} Duration of HTTP requests.\n# TYPE ${name} histogram\n`;
    for (const handler of handlers) {
      if (written + text.length >= bytes) break;
      for (const method of methods) {
        let count = 0;
        for (const bound of [...firstTokenSecondsBounds, Number.POSITIVE_INFINITY]) {
          count += Math.floor(draw() * 50);
          text += `${name}_bucket{handler="${handler}",le="${numberText(bound)}",method="${method}"} ${numberText(count)}\n`;
        }
        text += `${name}_count{handler="${handler}",method="${method}"} ${numberText(count)}\n`;
        text += `${name}_sum{handler="${handler}",method="${method}"} ${numberText(count * draw())}\n`;
      }
    }
    parts.push(text);
    written += text.length;
  }
  return parts.join("");
}

/** A page that is not Prometheus text: control bytes, broken UTF-8, half lines, names without values. */
export function garbagePage(seed: number): Buffer {
  const draw = randomStream(seed, "garbage");
  const pieces: Buffer[] = [];
  for (let line = 0; line < 64; line += 1) {
    const noise = Buffer.from(Array.from({ length: 8 + Math.floor(draw() * 80) }, () => Math.floor(draw() * 256)));
    const broken = [
      "vllm:num_requests_running{",
      "# TYPE vllm:num_requests_waiting",
      'vllm:kv_cache_usage_perc{model_name="',
      "<html><body>502 Bad Gateway</body></html>\n",
      "vllm:num_requests_waiting{} NaNaN\n",
    ][line % 5];
    pieces.push(Buffer.from(broken ?? ""), noise);
  }
  return Buffer.concat(pieces);
}
