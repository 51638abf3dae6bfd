/**
 * So many of something, as people are told.
 *
 * @param noun One of them, whose plural takes an s: `1 bot`, `2 bots`.
 */
export function counted(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
