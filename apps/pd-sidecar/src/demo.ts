export async function demo(_args: readonly string[]): Promise<number> {
  return await Promise.resolve(0);
}
