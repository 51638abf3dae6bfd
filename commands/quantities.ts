/**
 * Numbers with their units, as people read them.
 *
 * @module
 */

const MILLION = 1e6;

/** A count: `19,001`, `2.26M`. */
export function countText(count: number): string {
  if (count >= 100 * MILLION) return `${Math.round(count / MILLION)}M`;
  if (count >= MILLION) return `${(count / MILLION).toFixed(2)}M`;
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Bytes: `512 B`, `7.7 MB`. */
export function bytesText(bytes: number): string {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const) {
    if (bytes < size) continue;
    const value = bytes / size;
    return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  }
  return `${Math.round(bytes)} B`;
}

/** A time: `7.3 ms`, `94 ms`, `1.25 s`, `3 min`. */
export function timeText(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 120) return `${Math.round(minutes)} min`;
  const hours = minutes / 60;
  return hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`;
}
