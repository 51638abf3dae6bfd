/**
 * The processor time of the server, by its own metrics.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { EnvironmentError } from "../../cli/command_line.ts";

/** A server's admin port. */
export interface AdminPort {
  /** Its address, without a slash at its end. */
  readonly url: string;
  /** The key to show it; `null` for none. */
  readonly key: string | null;
}

/** Milliseconds in which the port must answer. */
const PATIENCE_MS = 10_000;

const LINE = /^\w*process_cpu_seconds_total(?:\{[^}]*\})? ([\d.e+-]+)$/gm;

/**
 * The seconds of processor time that all processes of a server have used so far.
 *
 * @throws {EnvironmentError} (rejects) if the port doesn't say.
 */
export async function readProcessorSeconds({ url, key }: AdminPort): Promise<number> {
  const failed = (why: string, cause?: unknown) =>
    new EnvironmentError(`--admin: can't learn the server's processor time from ${url}: ${why}`, {
      cause,
    });
  let text: string;
  try {
    // A header carries bytes.
    const headers: Record<string, string> = key === null
      ? {}
      : { authorization: `Bearer ${Buffer.from(key).toString("latin1")}` };
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(`${url}/metrics`, { headers, signal });
    text = await response.text();
    if (!response.ok) {
      throw new Error(`it answers ${response.status}: ${text.trim().slice(0, 200)}`);
    }
  } catch (cause) {
    throw failed((cause as Error).message, cause);
  }
  const values = Array.from(text.matchAll(LINE), ([, value]) => Number(value));
  if (values.length === 0) throw failed("its metrics have no process_cpu_seconds_total");
  return values.reduce((sum, value) => sum + value, 0);
}

/** The time that was used between two readings; the server may have been replaced in between. */
export function processorSecondsBetween(before: number, after: number): number {
  return after >= before ? after - before : after;
}
