import { continuesMetricName, isBlank, skipBlanks, skipToBlank, startsMetricName } from "./name-chars.ts";
import type { PageLines } from "./page-lines.ts";
import type { PageFormat, SampleLine } from "./sample-line.ts";
import { quoted } from "./sample-line.ts";

/** Lines that are neither comment nor sample, after which the search for a valid one ends. */
const maxStrangeLines = 32;

/** The end of the line's content: `end` without a carriage return. */
export function withoutCarriageReturn(text: string, from: number, end: number): number {
  return end > from && text.charCodeAt(end - 1) === 0x0d ? end - 1 : end;
}

/**
 * Why the page behind `lines` is not a metrics page, or undefined when it is one. Never throws.
 * A page is one when it is blank, has comments only, or has a valid sample or a HELP, TYPE, UNIT or EOF line before the
 * 33rd line that is neither blank nor comment nor sample. It is none when its first content is `<` or not printable.
 * Cost: ends at the first such line, which for a metrics page is nearly always the first.
 */
export function whyNotMetrics(lines: PageLines, line: SampleLine, format: PageFormat): string | undefined {
  let reason: string | undefined;
  let strangeLines = 0;
  let first = true;
  while (strangeLines < maxStrangeLines && lines.next()) {
    const text = lines.text;
    const end = withoutCarriageReturn(text, lines.from, lines.end);
    const at = skipBlanks(text, lines.from, end);
    if (at === end) continue;
    const code = text.charCodeAt(at);
    if (first && (code === 0x3c || code < 0x20 || code > 0x7e)) return reasonOfFirstByte(text, at, end, code);
    first = false;
    if (code === 0x23) {
      if (isTypedComment(text, at, end)) return undefined;
      continue;
    }
    if (isSample(text, at, end, line, format)) return undefined;
    strangeLines++;
    reason ??= `line ${lines.number} is neither comment nor sample: ${quoted(text, at, end)}`;
  }
  return reason;
}

function reasonOfFirstByte(text: string, at: number, end: number, code: number): string {
  if (code === 0x3c) return `looks like HTML or XML: ${quoted(text, at, end)}`;
  if (code === 0x1f && text.charCodeAt(at + 1) === 0x8b) return "starts like gzip data; was the body unpacked?";
  return `starts with byte 0x${code.toString(16).padStart(2, "0")} instead of a comment or a metric name`;
}

function isTypedComment(text: string, from: number, end: number): boolean {
  const wordFrom = skipBlanks(text, from + 1, end);
  const wordTo = skipToBlank(text, wordFrom, end);
  switch (text.slice(wordFrom, Math.min(wordTo, wordFrom + 5))) {
    case "EOF":
      return skipBlanks(text, wordTo, end) === end;
    case "HELP":
    case "TYPE":
    case "UNIT":
      return nameEnd(text, skipBlanks(text, wordTo, end), end) !== undefined;
    default:
      return false;
  }
}

function isSample(text: string, from: number, end: number, line: SampleLine, format: PageFormat): boolean {
  const nameTo = nameEnd(text, from, end, 0x7b);
  return nameTo !== undefined && line.read(text, nameTo, end, format) === undefined;
}

/** End of the metric name at `from`, undefined when there is none or neither blank, line end nor `also` follows. */
function nameEnd(text: string, from: number, end: number, also?: number): number | undefined {
  if (from >= end || !startsMetricName(text.charCodeAt(from))) return undefined;
  let at = from + 1;
  while (at < end && continuesMetricName(text.charCodeAt(at))) at++;
  return at === end || isBlank(text.charCodeAt(at)) || text.charCodeAt(at) === also ? at : undefined;
}
