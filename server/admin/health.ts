import { STANDSTILL_MS } from "../telemetry/limits.ts";
import type { AdminSource } from "./source.ts";

/** The phases of a server: it isn't ready before it serves, nor from the first moment of its stop on. */
export type ServerPhase = "starting" | "serving" | "draining";

/** The answer of `/livez` and `/readyz`. */
export interface Health {
  readonly isFine: boolean;
  /** True if it is fine, but for something that keeps no client away. */
  readonly isDegraded?: boolean;
  /** The reasons if it isn't, as sentences. */
  readonly reasons: readonly string[];
}

/**
 * Judges if the server is alive: its event loop has turned within the last second. With workers it is that of
 * the supervisor, which ends and replaces a worker that stands still; so one of these is no reason to end all.
 *
 * @param sinceTurnMs Milliseconds since the loop that answers last turned before it answered.
 */
export function liveness(sinceTurnMs: number): Health {
  if (sinceTurnMs < STANDSTILL_MS) return { isFine: true, reasons: [] };
  const seconds = (sinceTurnMs / 1000).toFixed(1);
  return { isFine: false, reasons: [`the event loop stood still for ${seconds} s`] };
}

/** Judges if the server is ready for connections: it accepts, isn't stopping, and all workers are up. */
export function readiness(phase: ServerPhase, source: AdminSource): Health {
  if (phase === "draining") return { isFine: false, reasons: ["the server is stopping"] };
  if (phase === "starting") return { isFine: false, reasons: ["the server is starting"] };
  const reasons = source.workers.filter(({ isUp }) => !isUp)
    .map(({ name, trouble }) => `${name} ${trouble}`);
  if (reasons.length > 0) return { isFine: false, reasons };
  if (source.cluster?.isConnected !== false) return { isFine: true, reasons };
  // Its own clients are served, and a load balancer has no better place for new ones.
  return {
    isFine: true,
    isDegraded: true,
    reasons: ["the other machines of the cluster can't be reached"],
  };
}
