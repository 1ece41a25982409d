/** Powers of ten that a double holds exactly. */
const exactPowersOfTen = [1];
for (let exponent = 1; exponent <= 22; exponent++) exactPowersOfTen.push(Number(`1e${exponent}`));

const maxExactDigits = 15;

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/**
 * Reads text[from, to) as a sample value: decimal digits with optional sign, point and exponent (`7`, `.5`, `5.`,
 * `1.5e+07`), `Inf` or `Infinity` with optional sign, `NaN` without; words in any case.
 * Anything else is undefined: empty, hexadecimal, `_` between digits, or larger than a double holds (`1e999`).
 * Cost: one pass, no allocation for numbers of up to 15 digits without exponent.
 */
export function parseGoFloat(text: string, from: number, to: number): number | undefined {
  let at = from;
  let negative = false;
  const sign = at < to ? text.charCodeAt(at) : 0;
  if (sign === 0x2d || sign === 0x2b) {
    negative = sign === 0x2d;
    at++;
  }
  let digits = 0;
  let fraction = 0;
  let mantissa = 0;
  for (; at < to && isDigit(text.charCodeAt(at)); at++) {
    mantissa = mantissa * 10 + (text.charCodeAt(at) - 0x30);
    digits++;
  }
  if (at < to && text.charCodeAt(at) === 0x2e) {
    at++;
    for (; at < to && isDigit(text.charCodeAt(at)); at++) {
      mantissa = mantissa * 10 + (text.charCodeAt(at) - 0x30);
      digits++;
      fraction++;
    }
  }
  if (digits === 0) return parseWord(text, from, to);
  // Both operands are exact doubles, so the one division rounds to the nearest double.
  if (at === to && digits <= maxExactDigits) {
    const value = fraction === 0 ? mantissa : mantissa / exactPowersOfTen[fraction]!;
    return negative ? -value : value;
  }
  if (at < to) {
    if ((text.charCodeAt(at) | 0x20) !== 0x65) return undefined;
    at++;
    if (at < to && (text.charCodeAt(at) === 0x2d || text.charCodeAt(at) === 0x2b)) at++;
    const exponentFrom = at;
    while (at < to && isDigit(text.charCodeAt(at))) at++;
    if (at === exponentFrom || at !== to) return undefined;
  }
  const value = Number(text.slice(from, to));
  return Number.isFinite(value) ? value : undefined;
}

function parseWord(text: string, from: number, to: number): number | undefined {
  // The longest word is "+infinity".
  if (to - from > 9) return undefined;
  switch (text.slice(from, to).toLowerCase()) {
    case "nan":
      return Number.NaN;
    case "inf":
    case "+inf":
    case "infinity":
    case "+infinity":
      return Number.POSITIVE_INFINITY;
    case "-inf":
    case "-infinity":
      return Number.NEGATIVE_INFINITY;
    default:
      return undefined;
  }
}
