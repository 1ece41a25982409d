const start = 1;
const inside = 2;
const colon = 4;

const classes = new Uint8Array(256);
for (let code = 0x30; code <= 0x39; code++) classes[code] = inside;
for (let code = 0x41; code <= 0x5a; code++) classes[code] = classes[code + 0x20] = start | inside;
classes[0x5f] = start | inside;
classes[0x3a] = colon;

/** Whether a metric name may start with this character: a letter, `_` or `:`. False for NaN. */
export function startsMetricName(code: number): boolean {
  return ((classes[code] ?? 0) & (start | colon)) !== 0;
}

/** Whether a metric name may contain this character: a letter, a digit, `_` or `:`. False for NaN. */
export function continuesMetricName(code: number): boolean {
  return ((classes[code] ?? 0) & (inside | colon)) !== 0;
}

/** Whether a label name may start with this character: a letter or `_`. False for NaN. */
export function startsLabelName(code: number): boolean {
  return ((classes[code] ?? 0) & start) !== 0;
}

/** Whether a label name may contain this character: a letter, a digit or `_`. False for NaN. */
export function continuesLabelName(code: number): boolean {
  return ((classes[code] ?? 0) & inside) !== 0;
}

/** Whether the text is a metric name that needs no quotes. */
export function isMetricName(text: string): boolean {
  if (!startsMetricName(text.charCodeAt(0))) return false;
  for (let at = 1; at < text.length; at++) if (!continuesMetricName(text.charCodeAt(at))) return false;
  return true;
}

/** Whether the character is a space or a tab, the blanks of the text format. */
export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** First position in [from, end) that holds no blank, else `end`. */
export function skipBlanks(text: string, from: number, end: number): number {
  let at = from;
  while (at < end && isBlank(text.charCodeAt(at))) at++;
  return at;
}

/** First position in [from, end) that holds a blank, else `end`. */
export function skipToBlank(text: string, from: number, end: number): number {
  let at = from;
  while (at < end && !isBlank(text.charCodeAt(at))) at++;
  return at;
}
