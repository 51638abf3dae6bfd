/**
 * The report of a soak, exactly as `--json` writes it.
 *
 * @module
 */

import type { ProfileName } from "./listener_profile.ts";
import type { FaultKind } from "./checks/faults.ts";
import type { Strike, StrikeRecord } from "./checks/strike_history.ts";
import type { LatencyVerdict } from "./checks/latency.ts";
import type { MemorySample, MemoryVerdict } from "./checks/memory.ts";
import type { LibraryDoor, LibraryRecord } from "./clients/library_order.ts";
import type { AttackRecord } from "./attacks/attack_rotation.ts";

/** The exit status of a stopped server, and the time it took. */
export interface StopRecord {
  readonly status: number | null;
  readonly took_ms: number;
}

/** The soak of one server. */
export interface SoakRun {
  /** `deno`, `bun`, or the address of a server that already ran. */
  readonly server: string;
  readonly runtime_version: string | null;
  /** The server's profile; see {@linkcode ProfileName}. */
  readonly door: ProfileName;
  readonly started_at: string;
  readonly passed: boolean;
  /** Seconds under load. */
  readonly load_s: number;
  readonly subscribers: number;
  /** Connections on which subscriptions were checked. */
  readonly streams: number;
  readonly published: number;
  readonly delivered: number;
  /** Receipts that publishers asked for and received, and that add up. */
  readonly receipts: number;
  /** What programs did that use the client library, by the server's door. */
  readonly library: Readonly<Partial<Record<LibraryDoor, LibraryRecord>>>;
  /** Answers to subscribers that came back and said where they were, by reason; `ok` missed nothing. */
  readonly resumes: Readonly<Record<string, number>>;
  /**
   * Healthy clients' connections that ended with a worker that was killed, asked to end or replaced, or
   * with a certificate before they were accepted.
   */
  readonly lost_to_kills: number;
  /** Healthy clients' connections that ended because the soak's own process was too slow to read them. */
  readonly lost_to_own_pace: number;
  /** The latency of the bystander's messages; `null` without any. */
  readonly latency: LatencyVerdict | null;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  readonly fault_details: readonly string[];
  readonly kills: readonly StrikeRecord[];
  /** The number of strikes of each kind. */
  readonly strikes: Readonly<Record<Strike, number>>;
  /** The strikes that weren't possible here, each with the reason. */
  readonly left_out: Readonly<Partial<Record<Strike, string>>>;
  /** The number of certificate changes. */
  readonly renewals: number;
  /** `null` if the server's processes can't be watched. */
  readonly memory: MemoryVerdict | null;
  /** The most bytes that the server's processes had resident together; `null` as above. */
  readonly peak_resident_bytes: number | null;
  /**
   * The share of their time for which the processes of the server and of its cluster's other members waited for a
   * processor; `null` if that isn't known.
   */
  readonly waited_share: number | null;
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
  /** The members of each server's cluster; 1 if it's alone. */
  readonly members: number;
  readonly kill_every_s: number | null;
  readonly chaos_every_s: number | null;
  readonly arguments: readonly string[];
  /** True if a signal came before all soaks were over. Unfinished ones are missing. */
  readonly interrupted: boolean;
  /** True if all servers held, and none is missing. */
  readonly passed: boolean;
  readonly runs: readonly SoakRun[];
}
