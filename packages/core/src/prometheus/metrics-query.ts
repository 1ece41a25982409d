import { EppBug } from "../errors.ts";
import { MetricSample } from "./metric-sample.ts";
import type { MetricsPage, MetricType, PageProblem, SampleFamily } from "./metrics-page.ts";
import { metricType } from "./metrics-page.ts";
import { isBlank, isMetricName, skipBlanks, skipToBlank } from "./name-chars.ts";
import { NameSet } from "./name-set.ts";
import { whyNotMetrics, withoutCarriageReturn } from "./not-metrics.ts";
import { maxLinesPerPage, PageLines } from "./page-lines.ts";
import type { PageFormat } from "./sample-line.ts";
import { quoted, SampleLine } from "./sample-line.ts";
import { SeriesSet } from "./series-set.ts";

/** Larger pages are garbage. */
export const maxPageBytes: number = 16 * 1024 * 1024;
/** Sample lines read of one family; further ones are left out and reported once. */
export const maxLinesPerFamily = 2048;
/** Problems kept of one page; further ones are counted. */
export const maxProblemsPerPage = 16;

export interface ScanOptions {
  /** Undefined: `openmetrics` when the last line is `# EOF`, else `text`. A Content-Type, where known, says it better. */
  readonly format?: PageFormat | undefined;
  /** The page was cut off by a size limit: a last line without newline is left out. By default it counts. */
  readonly cutOff?: boolean | undefined;
}

/** Suffixes of sample names that OpenMetrics leaves out in the TYPE line, and the type that has them. */
const openMetricsSuffixes: readonly (readonly [suffix: string, type: MetricType])[] = [
  ["_total", "counter"],
  ["_info", "info"],
];

/** What a TYPE line for one name says about a wanted family: its type, or only that it has the type `onlyAs`. */
interface TypeTarget {
  readonly family: number;
  readonly onlyAs: MetricType | undefined;
}

const eofMarker = "# EOF";

class FoundFamily implements SampleFamily {
  readonly name: string;
  readonly samples: MetricSample[] = [];
  type: MetricType | undefined = undefined;

  constructor(name: string) {
    this.name = name;
  }
}

class FoundPage implements MetricsPage {
  readonly families: readonly FoundFamily[];
  readonly problems: PageProblem[] = [];
  readonly format: PageFormat;
  garbage: string | undefined = undefined;
  problemCount = 0;
  readonly #indexOfName: ReadonlyMap<string, number>;

  constructor(names: readonly string[], indexOfName: ReadonlyMap<string, number>, format: PageFormat) {
    this.families = names.map((name) => new FoundFamily(name));
    this.format = format;
    this.#indexOfName = indexOfName;
  }

  family(name: string): SampleFamily | undefined {
    const index = this.#indexOfName.get(name);
    return index === undefined ? undefined : this.families[index];
  }

  addProblem(line: number, what: string): void {
    this.problemCount++;
    if (this.problems.length < maxProblemsPerPage) this.problems.push({ line, what });
  }
}

/**
 * Finds the samples of a fixed list of names in the bytes of metrics pages, without reading the other lines.
 * A name means exactly the samples so called: neither longer names nor the `_bucket`, `_sum` and `_count` of a histogram.
 *
 * A malformed line of a wanted family is reported and left out, all else on the page is used; the llm-d Router drops the
 * whole scrape then, and also for a page without a final newline, for CRLF, and for blanks at a line's end. Lines of
 * other families are not checked. Samples without a TYPE line have their value; there they read as 0.
 *
 * Cost: for each line a search for its end and a look at two characters; allocates for the result and the text copy.
 */
export class MetricsQuery {
  /** The wanted names, each once, in the order given. */
  readonly names: readonly string[];
  readonly #indexOfName: ReadonlyMap<string, number>;
  readonly #sampleNames: NameSet;
  readonly #typeNames: NameSet;
  /** Aligned with the names in `#typeNames`. */
  readonly #typeTargets: readonly (readonly TypeTarget[])[];

  // State of one scan, kept between scans to save allocations.
  readonly #lines: PageLines = new PageLines();
  readonly #line: SampleLine = new SampleLine();
  readonly #lineCounts: Int32Array;
  readonly #series: readonly SeriesSet[];
  readonly #impliedTypes: (MetricType | undefined)[];

  /** Throws EppBug for a name that is no metric name. */
  constructor(names: Iterable<string>) {
    this.names = [...new Set(names)];
    for (const name of this.names) {
      if (!isMetricName(name)) throw new EppBug(`metrics query: ${JSON.stringify(name)} is not a metric name`);
    }
    this.#indexOfName = new Map(this.names.map((name, index) => [name, index]));
    this.#sampleNames = new NameSet(this.names);

    const targets = new Map<string, TypeTarget[]>();
    const addTarget = (name: string, target: TypeTarget): void => {
      const known = targets.get(name);
      if (known === undefined) targets.set(name, [target]);
      else known.push(target);
    };
    for (const [family, name] of this.names.entries()) {
      addTarget(name, { family, onlyAs: undefined });
      for (const [suffix, onlyAs] of openMetricsSuffixes) {
        const base = name.endsWith(suffix) ? name.slice(0, -suffix.length) : "";
        if (base !== "") addTarget(base, { family, onlyAs });
      }
    }
    this.#typeNames = new NameSet([...targets.keys()]);
    this.#typeTargets = [...targets.values()];

    this.#lineCounts = new Int32Array(this.names.length);
    this.#series = this.names.map(() => new SeriesSet());
    this.#impliedTypes = new Array<MetricType | undefined>(this.names.length).fill(undefined);
  }

  /**
   * Reads one page. The result keeps no reference to `bytes`.
   * Missing: an empty or blank page is valid and has no samples. Never throws.
   * Cost: linear in the page; see bench/prometheus-scan.bench.ts.
   */
  scan(bytes: Uint8Array, options: ScanOptions = {}): MetricsPage {
    if (bytes.byteLength > maxPageBytes) {
      const page = new FoundPage(this.names, this.#indexOfName, options.format ?? "text");
      page.garbage = `${bytes.byteLength} bytes are more than the limit of ${maxPageBytes}`;
      return page;
    }
    const format = options.format ?? (endsWithEof(bytes) ? "openmetrics" : "text");
    const page = new FoundPage(this.names, this.#indexOfName, format);
    this.#lines.open(bytes);
    page.garbage = whyNotMetrics(this.#lines, this.#line, format);
    if (page.garbage === undefined && this.names.length > 0) this.#scanLines(page, options.cutOff === true);
    this.#lines.close();
    return page;
  }

  #scanLines(page: FoundPage, cutOff: boolean): void {
    const lines = this.#lines;
    const sampleNames = this.#sampleNames;
    this.#lineCounts.fill(0);
    this.#impliedTypes.fill(undefined);
    lines.rewind();
    while (lines.next()) {
      const { text, from, end } = lines;
      if (cutOff && !lines.terminated) break;
      const at = isBlank(text.charCodeAt(from)) ? skipBlanks(text, from, end) : from;
      if (text.charCodeAt(at) === 0x23) {
        this.#readComment(text, at + 1, end, page);
      } else {
        const index = sampleNames.at(text, at, end);
        if (index >= 0) this.#readSample(at, page, index);
      }
    }
    if (lines.number === maxLinesPerPage && !lines.atEnd) {
      page.addProblem(maxLinesPerPage, `the page has more than ${maxLinesPerPage} lines; the rest is left out`);
    }
    for (const [index, family] of page.families.entries()) family.type ??= this.#impliedTypes[index];
  }

  #readSample(at: number, page: FoundPage, index: number): void {
    const lines = this.#lines;
    const family = page.families[index]!;
    const count = this.#lineCounts[index]!;
    if (count > maxLinesPerFamily) return;
    this.#lineCounts[index] = count + 1;
    if (count === maxLinesPerFamily) {
      page.addProblem(lines.number, `${family.name}: more than ${maxLinesPerFamily} lines; the rest is left out`);
      return;
    }
    const line = this.#line;
    const end = withoutCarriageReturn(lines.text, at, lines.end);
    const problem = line.read(lines.text, at + family.name.length, end, page.format);
    if (problem !== undefined) {
      page.addProblem(lines.number, `${family.name}: ${problem}`);
      return;
    }
    const labels = lines.copy(line.labelsFrom, line.labelsTo);
    const sample = new MetricSample(family.name, labels, line.value, line.timestampMs);
    const equal = this.#series[index]!.find(sample, line.labelSetHash, family.samples);
    if (equal === undefined) family.samples.push(sample);
    else keepLater(page, family, equal, sample, lines.number);
  }

  /** `at` is the position after the "#". */
  #readComment(text: string, at: number, lineEnd: number, page: FoundPage): void {
    const wordAt = skipBlanks(text, at, lineEnd);
    if (text.charCodeAt(wordAt) !== 0x54 || !text.startsWith("TYPE", wordAt)) return;
    const nameAt = skipBlanks(text, wordAt + 4, lineEnd);
    if (nameAt === wordAt + 4) return;
    const index = this.#typeNames.at(text, nameAt, lineEnd);
    if (index < 0) return;
    const end = withoutCarriageReturn(text, nameAt, lineEnd);
    const nameTo = nameAt + this.#typeNames.names[index]!.length;
    const typeFrom = skipBlanks(text, nameTo, end);
    if (typeFrom === nameTo && typeFrom < end) return;
    const typeTo = skipToBlank(text, typeFrom, end);
    const type = skipBlanks(text, typeTo, end) === end ? metricType(text.slice(typeFrom, typeTo)) : undefined;
    for (const { family: familyIndex, onlyAs } of this.#typeTargets[index]!) {
      const family = page.families[familyIndex]!;
      if (onlyAs !== undefined) {
        if (type === onlyAs && page.format === "openmetrics") this.#impliedTypes[familyIndex] = type;
      } else if (type === undefined) {
        // A TYPE line may end after the name; it says nothing then.
        if (typeFrom < end)
          page.addProblem(this.#lines.number, `${family.name}: unknown type ${quoted(text, typeFrom, end)}`);
      } else if (family.type !== undefined && family.type !== type) {
        page.addProblem(
          this.#lines.number,
          `${family.name}: type ${type} after type ${family.type}; the first is used`,
        );
      } else {
        family.type = type;
      }
    }
  }
}

/** Handles a second sample with equal labels: points of one series at different times are legal, all else is not. */
function keepLater(
  page: FoundPage,
  family: FoundFamily,
  index: number,
  sample: MetricSample,
  lineNumber: number,
): void {
  const earlier = family.samples[index]!;
  const bothTimed = earlier.timestampMs !== undefined && sample.timestampMs !== undefined;
  if (!bothTimed || earlier.timestampMs === sample.timestampMs) {
    page.addProblem(
      lineNumber,
      `${family.name}: series given twice; the later timestamp, else the first line, is used`,
    );
  }
  if ((sample.timestampMs ?? 0) > (earlier.timestampMs ?? 0)) family.samples[index] = sample;
}

/** Whether the last line with content is the end marker of OpenMetrics. */
function endsWithEof(bytes: Uint8Array): boolean {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
  const from = end - eofMarker.length;
  if (from < 0 || (from > 0 && bytes[from - 1] !== 0x0a)) return false;
  for (let at = 0; at < eofMarker.length; at++) if (bytes[from + at] !== eofMarker.charCodeAt(at)) return false;
  return true;
}
