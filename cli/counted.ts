/**
 * An amount and its noun, as people read it.
 *
 * @param noun The singular, whose plural takes an s: `1 bot`, `2 bots`.
 */
export function counted(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
