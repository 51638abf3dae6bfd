/**
 * What came of a soak; its JSON is this, word for word.
 *
 * @module
 */

import type { DoorName } from "./listener_profile.ts";
import type { FaultKind } from "./checks/faults.ts";
import type { Kill, Strike } from "./checks/strike_history.ts";
import type { LatencyVerdict } from "./checks/latency.ts";
import type { MemorySample, MemoryVerdict } from "./checks/memory.ts";
import type { AttackRecord } from "./attacks/siege.ts";

/** How a server stopped. */
export interface StopRecord {
  readonly status: number | null;
  readonly took_ms: number;
}

/** The soak of one server. */
export interface SoakRun {
  /** `deno`, `bun`, or the server's address where it ran already. */
  readonly server: string;
  readonly runtime_version: string | null;
  /** Plain TCP for everybody, with much memory or little, or TLS for those with a key. */
  readonly door: DoorName;
  readonly started_at: string;
  readonly passed: boolean;
  /** Seconds under load. */
  readonly load_s: number;
  readonly subscribers: number;
  /** Connections on which subscriptions were checked. */
  readonly streams: number;
  readonly published: number;
  readonly delivered: number;
  /** That came for those messages whose publishers had asked, and add up. */
  readonly receipts: number;
  /**
   * Healthy clients' connections that went with a worker that was killed, asked to end or replaced, or
   * before they were accepted with a certificate.
   */
  readonly lost_to_kills: number;
  /** Healthy clients' connections that ended since the soak's own process was too slow to read them. */
  readonly lost_to_own_pace: number;
  /** What the bystander's messages took; `null` without any. */
  readonly latency: LatencyVerdict | null;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  readonly fault_details: readonly string[];
  readonly kills: readonly Kill[];
  /** How many of them there were of each kind. */
  readonly strikes: Readonly<Record<Strike, number>>;
  /** Why others weren't possible here, by kind. */
  readonly left_out: Readonly<Partial<Record<Strike, string>>>;
  /** How often the certificate was changed. */
  readonly renewals: number;
  /** `null` where the server's processes can't be looked at. */
  readonly memory: MemoryVerdict | null;
  /** The most that the server's processes had resident at once; `null` as above. */
  readonly peak_resident_bytes: number | null;
  readonly samples: readonly MemorySample[];
  readonly descriptors: { readonly before: number; readonly after: number } | null;
  readonly attacks: Readonly<Record<string, AttackRecord>>;
  readonly stop: StopRecord | null;
}

/** All servers of a soak. */
export interface SoakReport {
  readonly hotwheels_version: string;
  readonly client_runtime: string;
  readonly seed: number;
  readonly minutes: number;
  readonly workers: number;
  readonly kill_every_s: number | null;
  readonly chaos_every_s: number | null;
  readonly arguments: readonly string[];
  /** A signal came before all servers' soaks were over; those that weren't are missing. */
  readonly interrupted: boolean;
  /** All held, and none is missing. */
  readonly passed: boolean;
  readonly runs: readonly SoakRun[];
}
