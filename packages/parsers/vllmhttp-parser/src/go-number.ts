/** Writes a number as Go's `%v` does: `1.5`, `-7`, `4.294967296e+09`, `+Inf`. */
export function goNumber(number: number): string {
  if (!Number.isFinite(number)) return number > 0 ? "+Inf" : number < 0 ? "-Inf" : "NaN";
  const [mantissa = "0", exponentText = "0"] = number.toExponential().split("e");
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return Object.is(number, -0) ? "-0" : String(number);
  const digits = String(Math.abs(exponent)).padStart(2, "0");
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${digits}`;
}
