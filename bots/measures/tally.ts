/** Counts by reason. */
export type Tally = Record<string, number>;

/** The sum of all tallies. */
export function tallied(tallies: readonly Tally[]): Tally {
  const sum: Tally = {};
  for (const tally of tallies) {
    for (const [name, count] of Object.entries(tally)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}

/** A tally as text, such as `timed_out 3, closed 1`; empty for an empty tally. */
export function tallyText(tally: Tally): string {
  return Object.entries(tally).map(([name, count]) => `${name} ${count}`).join(", ");
}
