import { encodeUtf8 } from "./byte-text.ts";
import { continuesLabelName, continuesMetricName, startsLabelName, startsMetricName } from "./name-chars.ts";

/** One label a series must carry. */
export interface SpecLabel {
  readonly name: string;
  readonly value: string;
  /** The value as it stands on a page: escaped, one character a byte. */
  readonly byteText: string;
}

function escapeLabelValue(value: string): string {
  return value.replace(/[\\"\n]/g, (char) => (char === "\n" ? "\\n" : `\\${char}`));
}

/** Names the series to read: those called `name` that carry all `labels`; further labels do not matter. */
export class MetricSpec {
  readonly name: string;
  readonly labels: readonly SpecLabel[];

  constructor(name: string, labels: Iterable<readonly [name: string, value: string]> = []) {
    this.name = name;
    this.labels = [...labels].map(([labelName, value]) => ({
      name: labelName,
      value,
      byteText: encodeUtf8(escapeLabelValue(value)),
    }));
  }

  /** The spec in its own grammar, values quoted: `name{l="v"}`. */
  toString(): string {
    const labels = this.labels.map(({ name, value }) => `${name}="${escapeLabelValue(value)}"`);
    return labels.length === 0 ? this.name : `${this.name}{${labels.join(",")}}`;
  }
}

/** Why a text is not a metric spec. A value, not thrown. */
export class MetricSpecError {
  readonly text: string;
  /** Where the problem stands, counted from 1; one more than the length for the end of the text. */
  readonly column: number;
  readonly what: string;

  constructor(text: string, column: number, what: string) {
    this.text = text;
    this.column = column;
    this.what = what;
  }

  /** One line for people: the text, the place, the problem. */
  get message(): string {
    return `metric spec ${JSON.stringify(this.text)}, column ${this.column}: ${this.what}`;
  }
}

const valueEnds = /[\s",}]/;
const blank = /\s/;

class SpecReader {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  read(): MetricSpec | MetricSpecError {
    this.#skipBlanks();
    const name = this.#readName(startsMetricName, continuesMetricName);
    if (name === "") return this.#expected("a metric name");
    this.#skipBlanks();
    const labels = new Map<string, string>();
    if (this.#take("{")) {
      const error = this.#readLabels(labels);
      if (error !== undefined) return error;
      this.#skipBlanks();
      if (this.at < this.text.length) return this.#expected('the end after "}"');
    } else if (this.at < this.text.length) {
      return this.#expected('"{" or the end after the metric name');
    }
    return new MetricSpec(name, labels);
  }

  #readLabels(labels: Map<string, string>): MetricSpecError | undefined {
    for (this.#skipBlanks(); !this.#take("}"); this.#skipBlanks()) {
      const nameAt = this.at;
      const name = this.#readName(startsLabelName, continuesLabelName);
      if (name === "") return this.#expected(labels.size === 0 ? 'a label name or "}"' : "a label name");
      if (name.startsWith("__")) return this.#error(nameAt, `label names that start with "__" are reserved: "${name}"`);
      if (labels.has(name)) return this.#error(nameAt, `label "${name}" is given twice`);
      this.#skipBlanks();
      const operator = this.text.slice(this.at, this.at + 2);
      if (operator === "!=" || operator === "!~" || operator === "=~") {
        return this.#error(this.at, `"${operator}" is not possible here; write ${name}=value`);
      }
      if (!this.#take("=")) return this.#expected(`"=" after label "${name}"`);
      this.#skipBlanks();
      const value = this.text[this.at] === '"' ? this.#readQuoted() : this.#readBare();
      if (value instanceof MetricSpecError) return value;
      labels.set(name, value);
      this.#skipBlanks();
      if (!this.#take(",") && this.text[this.at] !== "}") return this.#expected(`"," or "}" after label "${name}"`);
    }
    return undefined;
  }

  #readQuoted(): string | MetricSpecError {
    const openedAt = this.at;
    let value = "";
    for (this.at++; this.at < this.text.length; this.at++) {
      const char = this.text[this.at]!;
      if (char === '"') {
        this.at++;
        return value;
      }
      if (char !== "\\") {
        value += char;
        continue;
      }
      const escaped = this.text[this.at + 1];
      if (escaped === "n") value += "\n";
      else if (escaped === '"' || escaped === "\\") value += escaped;
      else return this.#error(this.at, String.raw`unknown escape; the escapes are \\, \" and \n`);
      this.at++;
    }
    return this.#error(openedAt, "no closing quote");
  }

  #readBare(): string | MetricSpecError {
    const from = this.at;
    while (this.at < this.text.length && !valueEnds.test(this.text[this.at]!)) this.at++;
    if (this.at === from) return this.#expected('a value (write "" for an empty one)');
    return this.text.slice(from, this.at);
  }

  #readName(starts: (code: number) => boolean, continues: (code: number) => boolean): string {
    const from = this.at;
    if (starts(this.text.charCodeAt(from))) {
      this.at++;
      while (continues(this.text.charCodeAt(this.at))) this.at++;
    }
    return this.text.slice(from, this.at);
  }

  #take(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  #skipBlanks(): void {
    while (this.at < this.text.length && blank.test(this.text[this.at]!)) this.at++;
  }

  #expected(wanted: string): MetricSpecError {
    const char = this.text.codePointAt(this.at);
    const seen = char === undefined ? "the text ends" : `found ${JSON.stringify(String.fromCodePoint(char))}`;
    return this.#error(this.at, `expected ${wanted}, ${seen}`);
  }

  #error(at: number, what: string): MetricSpecError {
    return new MetricSpecError(this.text, at + 1, what);
  }
}

/**
 * Reads `name` or `name{label=value,label2="value 2"}`: only equality; blanks may surround every part; a last comma may
 * stay. Bare values end at a blank, `"`, `,` or `}`; quoted values may hold all of these and the escapes `\\`, `\"`, `\n`.
 * Missing: "" gives undefined, which means "disabled". Never throws; a text that is no spec gives a MetricSpecError.
 * Differences from the llm-d Router, which reads PromQL: commas in quoted values work; `!=`, labels that start with `__`
 * and labels given twice are errors, there they are dropped without notice.
 */
export function parseMetricSpec(text: string): MetricSpec | MetricSpecError | undefined {
  return text === "" ? undefined : new SpecReader(text).read();
}
