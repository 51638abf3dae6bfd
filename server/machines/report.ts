/**
 * The reports of a process about its cluster.
 *
 * @module
 */

import type { DeclaredHole, InboxCounts, MachineCounts } from "./inbox.ts";
import type { Member } from "./members.ts";

/** Another machine, for those who look. */
export interface MemberReport extends MachineCounts {
  readonly machine: string;
  readonly address: string;
  readonly release: string;
  readonly workers: number;
  /** False if it has been silent for some seconds. */
  readonly isThere: boolean;
  /** Milliseconds by which its last known message is ahead of the last that was delivered here. */
  readonly lagMs: number;
}

/** A cluster, as one process of a machine sees it. */
export interface ClusterReport {
  /** True if this process holds the uplink. */
  readonly isHolding: boolean;
  /** True while other machines can be reached. */
  readonly isConnected: boolean;
  /** Counts that only ever grow. */
  readonly counts: InboxCounts;
  /** Bytes that are kept for machines that miss some of what was sent. */
  readonly logBytes: number;
  /** Bytes that wait behind gaps, or for memory. */
  readonly heldBytes: number;
  readonly members: readonly MemberReport[];
}

/** The events of a cluster. They are reported once for each machine, but for what one of its processes lacks. */
export interface ClusterEvents {
  onJoined(member: Member): void;
  onSilent(member: Member): void;
  onBack(member: Member): void;
  onLeft(member: Member, isClean: boolean): void;
  onDisagreement(member: Member, what: string): void;
  /** Messages of a machine's process are lost for this process, and perhaps for others of this machine. */
  onHole(machine: string, origin: string, hole: DeclaredHole): void;
  /** A frame wasn't valid, or not its sender's. */
  onRejected(machine: string, why: string): void;
  /** A frame of a version that this release doesn't understand has come. */
  onOtherVersion(what: string): void;
  /** NATS is connected. */
  onConnected(servers: string): void;
  /** It isn't, or takes nothing; the reason in words. */
  onAway(reason: string): void;
  /** It has refused something; the reason in words. */
  onError(reason: string): void;
}
