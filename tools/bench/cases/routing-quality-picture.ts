/** One line of a panel. */
export interface Series {
  readonly name: string;
  readonly color: string;
  /** Lines of what no picker can do are dashed. */
  readonly dashed: boolean;
  /** `[x, y]`, by x; y above 0. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** One plot; y is logarithmic, since policies lie far apart. */
export interface Panel {
  readonly title: string;
  readonly xTitle: string;
  readonly series: readonly Series[];
}

const plot = { width: 250, height: 230 } as const;
const margin = { left: 52, right: 14, top: 46, bottom: 40 } as const;
const panelWidth = margin.left + plot.width + margin.right;
const legendHeight = 26;
const ink = "#24292f";
const grid = "#d8dee4";

/** Panels side by side under a title, with one legend for all: an SVG image as text. Throws when there is nothing to draw. */
export function picture(title: string, panels: readonly Panel[]): string {
  const width = panelWidth * panels.length;
  const height = margin.top + plot.height + margin.bottom + legendHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="11" fill="${ink}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="${width / 2}" y="16" text-anchor="middle" font-size="13" font-weight="bold">${escaped(title)}</text>`,
    ...panels.map((panel, i) => panelGroup(panel, i * panelWidth)),
    ...legend(panels[0]?.series ?? [], width, height),
    "</svg>",
    "",
  ].join("\n");
}

function panelGroup(panel: Panel, atX: number): string {
  const points = panel.series.flatMap((series) => series.points);
  if (points.length === 0 || points.some(([x, y]) => !(Number.isFinite(x) && y > 0 && Number.isFinite(y)))) {
    throw new Error(`${panel.title}: every point needs numbers, and a value above 0`);
  }
  const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
  const ticks = logTicks(Math.min(...points.map(([, y]) => y)), Math.max(...points.map(([, y]) => y)));
  const [left, right] = [xs[0]!, xs.at(-1)!];
  const [low, high] = [ticks[0]!, ticks.at(-1)!];
  const placeX = (x: number): number => (right === left ? plot.width / 2 : ((x - left) / (right - left)) * plot.width);
  const placeY = (y: number): number => plot.height * (1 - Math.log(y / low) / Math.log(high / low));
  const round = (value: number): string => String(Math.round(value * 10) / 10);
  return [
    `<g transform="translate(${atX + margin.left} ${margin.top})">`,
    `<text x="${plot.width / 2}" y="-10" text-anchor="middle">${escaped(panel.title)}</text>`,
    ...ticks.map((tick) => {
      const y = round(placeY(tick));
      return `<path d="M0 ${y}H${plot.width}" stroke="${grid}"/><text x="-6" y="${y}" dy="4" text-anchor="end">${shortNumber(tick)}</text>`;
    }),
    ...xs.map((x) => {
      const at = round(placeX(x));
      return `<path d="M${at} ${plot.height}v4" stroke="${ink}"/><text x="${at}" y="${plot.height + 16}" text-anchor="middle">${x}</text>`;
    }),
    `<path d="M0 0V${plot.height}H${plot.width}" fill="none" stroke="${ink}"/>`,
    `<text x="${plot.width / 2}" y="${plot.height + 32}" text-anchor="middle">${escaped(panel.xTitle)}</text>`,
    ...panel.series.flatMap(({ color, dashed, points: line }) => {
      const places = line.map(([x, y]) => [round(placeX(x)), round(placeY(y))] as const);
      const dash = dashed ? ' stroke-dasharray="5 3"' : "";
      return [
        `<polyline points="${places.map((place) => place.join(",")).join(" ")}" fill="none" stroke="${color}" stroke-width="2"${dash}/>`,
        ...places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="2.6" fill="${color}"/>`),
      ];
    }),
    "</g>",
  ].join("\n");
}

/** Width that a character of a name takes, at most about. */
const characterWidth = 6.6;

function legend(series: readonly Series[], width: number, height: number): string[] {
  const sample = 20;
  const widths = series.map(({ name }) => sample + 5 + name.length * characterWidth);
  const gap = Math.max(4, (width - widths.reduce((sum, each) => sum + each, 0)) / (series.length + 1));
  const y = height - legendHeight / 2;
  let end = 0;
  return series.map(({ name, color, dashed }, i) => {
    const x = Math.round(end + gap);
    end += gap + widths[i]!;
    const dash = dashed ? ' stroke-dasharray="5 3"' : "";
    return `<path d="M${x} ${y}h${sample}" stroke="${color}" stroke-width="2"${dash}/><text x="${x + sample + 5}" y="${y}" dy="4">${escaped(name)}</text>`;
  });
}

/** 1, 2 and 5 times powers of ten from at most `low` to at least `high`, two or more. */
function logTicks(low: number, high: number): number[] {
  const steps = [1, 2, 5];
  const all: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)) + 1; power++) {
    for (const step of steps) all.push(Number((step * 10 ** power).toPrecision(1)));
  }
  const from = all.findLastIndex((tick) => tick <= low);
  const to = all.findIndex((tick, i) => tick >= high && i > from);
  return all.slice(from, to + 1);
}

/** `20000` as `20k`. */
function shortNumber(value: number): string {
  return value >= 1000 ? `${value / 1000}k` : String(value);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
