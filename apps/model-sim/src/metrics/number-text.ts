/** Writes a sample value the way Python's Prometheus client does: `3.0`, `0.25`, `1.7e+09`, `+Inf`. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  if (value < 1e6) return Number.isInteger(value) ? `${value}.0` : `${value}`;
  const digits = `${value}`;
  const exponent = Math.floor(Math.log10(value));
  const mantissa = digits.includes("e") ? undefined : digits.replace(".", "").replace(/0+$/, "");
  if (mantissa === undefined) return digits;
  const rest = mantissa.slice(1);
  return `${mantissa.slice(0, 1)}${rest === "" ? "" : `.${rest}`}e+${exponent < 10 ? "0" : ""}${exponent}`;
}
