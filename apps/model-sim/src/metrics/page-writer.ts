import type { Histogram } from "./histogram.ts";
import { numberText } from "./number-text.ts";

export type Labels = Readonly<Record<string, string>>;
export type Part = () => string;

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (pairs.length === 0) return "";
  const escaped = (value: string) => value.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/"/g, '\\"');
  return `{${pairs.map(([name, value]) => `${name}="${escaped(value)}"`).join(",")}}`;
}

function head(name: string, type: "gauge" | "counter" | "histogram", help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

/** A family with one series. */
export function scalar(
  type: "gauge" | "counter",
  name: string,
  help: string,
  labels: Labels,
  read: () => number,
): Part {
  return series(type, name, help, () => [[labels, read()]]);
}

/** A family with any number of series, which may change from page to page. */
export function series(
  type: "gauge" | "counter",
  name: string,
  help: string,
  read: () => Iterable<readonly [Labels, number]>,
): Part {
  const start = head(name, type, help);
  const texts = new WeakMap<Labels, string>();
  return () => {
    let text = start;
    for (const [labels, value] of read()) {
      let prefix = texts.get(labels);
      if (prefix === undefined) {
        prefix = `${name}${labelText(labels)} `;
        texts.set(labels, prefix);
      }
      text += `${prefix}${numberText(value)}\n`;
    }
    return text;
  };
}

export function histogram(name: string, help: string, labels: Labels, source: Histogram): Part {
  const start = head(name, "histogram", help);
  const prefixes = [...source.bounds.map(numberText), "+Inf"].map(
    (bound) => `${name}_bucket${labelText({ ...labels, le: bound })} `,
  );
  const countPrefix = `${name}_count${labelText(labels)} `;
  const sumPrefix = `${name}_sum${labelText(labels)} `;
  return () => {
    const counts = source.cumulativeCounts();
    let text = start;
    for (let i = 0; i < prefixes.length; i += 1) text += `${prefixes[i]}${numberText(counts[i] ?? 0)}\n`;
    return `${text}${countPrefix}${numberText(counts.at(-1) ?? 0)}\n${sumPrefix}${numberText(source.sum)}\n`;
  };
}
