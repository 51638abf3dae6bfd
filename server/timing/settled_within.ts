/** Resolves when all these promises are settled, or when so many milliseconds have passed. */
export async function settledWithin(
  ms: number,
  promises: readonly Promise<unknown>[],
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([Promise.allSettled(promises), patience]);
  clearTimeout(timer);
}
