/** Leaves out parts of an input as long as it fails, until `isOver`. */
export async function shrink(
  input: Uint8Array,
  fails: (input: Uint8Array) => Promise<boolean>,
  isOver: () => boolean,
): Promise<Buffer> {
  let least = Buffer.from(input);
  for (let part = Math.ceil(least.length / 2); part > 0; part = part === 1 ? 0 : Math.ceil(part / 2)) {
    for (let at = 0; at < least.length; ) {
      if (isOver()) return least;
      const shorter = Buffer.concat([least.subarray(0, at), least.subarray(at + part)]);
      if (await fails(shorter)) least = shorter;
      else at += part;
    }
  }
  return least;
}
