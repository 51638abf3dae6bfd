import { tallied } from "../measures/tally.ts";
import type { RampUpProgress } from "./ramp_up.ts";

/**
 * A progress callback for each of `count` parts, which passes on the sum of all parts.
 *
 * @param onProgress Receives the sum.
 */
export function summingUp(
  count: number,
  onProgress: (progress: RampUpProgress) => void,
): ((progress: RampUpProgress) => void)[] {
  const all = Array.from({ length: count }, (): RampUpProgress => ({
    greeted: 0,
    subscribed: 0,
    failedAttempts: {},
  }));
  return all.map((_, at) => (progress: RampUpProgress) => {
    all[at] = progress;
    onProgress({
      greeted: all.reduce((sum, { greeted }) => sum + greeted, 0),
      subscribed: all.reduce((sum, { subscribed }) => sum + subscribed, 0),
      failedAttempts: tallied(all.map(({ failedAttempts }) => failedAttempts)),
    });
  });
}

/** Shares `n` among `parts`, as evenly as whole numbers allow. */
export function shares(n: number, parts: number): number[] {
  return Array.from({ length: parts }, (_, at) => {
    return Math.floor(n * (at + 1) / parts) - Math.floor(n * at / parts);
  });
}
