const binary: Readonly<Record<string, bigint>> = {
  Ki: 1n << 10n,
  Mi: 1n << 20n,
  Gi: 1n << 30n,
  Ti: 1n << 40n,
  Pi: 1n << 50n,
  Ei: 1n << 60n,
};
const decimalExponent: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};

/**
 * Parses a Kubernetes quantity such as `512Mi`, `2k`, `1.5G`, `1e3` or `100`.
 *
 * Returns an integer, fractions rounded up; `undefined` when the text is no quantity or beyond what 64 bits hold.
 */
export function parseQuantity(text: string): bigint | undefined {
  const match = /^([+-]?)(\d{1,30})?(?:\.(\d{0,30}))?(?:([KMGTPE]i)|([numkMGTPE]|)|[eE]([+-]?\d{1,2}))$/.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = "", binarySuffix, decimalSuffix = "", exponent] = match;
  if (whole === "" && fraction === "") return undefined;
  const power = (exponent === undefined ? decimalExponent[decimalSuffix]! : Number(exponent)) - fraction.length;
  let value = BigInt(whole + fraction) * (binarySuffix === undefined ? 1n : binary[binarySuffix]!);
  if (sign === "-") value = -value;
  if (power >= 0) value *= 10n ** BigInt(power);
  else {
    const divisor = 10n ** BigInt(-power);
    const remainder = value % divisor;
    // Division truncates: only a positive value with a remainder has to move up.
    value = value / divisor + (remainder > 0n ? 1n : 0n);
  }
  return value <= 0x7fff_ffff_ffff_ffffn && value >= -0x8000_0000_0000_0000n ? value : undefined;
}
