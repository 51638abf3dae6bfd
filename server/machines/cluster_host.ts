/**
 * The machine of a cluster's process, and the parts of that process that the cluster uses.
 *
 * @module
 */

import type { Runtime } from "../../runtime/types.ts";
import type { Gate, WaitingPlace } from "../flow/gate.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { History } from "../history/history.ts";
import type { Origin, Origins } from "../history/origins.ts";
import type { Limits } from "../limits.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { ReceiptTaker } from "../topics/receipts.ts";
import type { ClusterEvents } from "./report.ts";

/** A machine as it presents itself to the others, and the bounds of its log. */
export interface ClusterSettings {
  /** The machine's name, which all its processes have: 16 hexadecimal digits, drawn at each start. */
  readonly machine: string;
  /** The port on which it serves clients, for people; 0 if the system chooses it. */
  readonly port: number;
  readonly release: string;
  readonly workers: number;
  readonly logBytes: number;
  readonly logMs: number;
}

/** How the process that holds the transport says that it is. */
export interface UplinkState {
  /** True while other machines can be reached. */
  readonly isReachable: boolean;
  /** True while it reads what its siblings hand up. It doesn't where memory is short, or NATS slow. */
  readonly isPrompt: boolean;
  /** The longest frame that other machines can be sent, in bytes; 0 if that isn't known. */
  readonly maxFrameBytes: number;
}

/** What is known of a frame that has come from another machine. */
export interface Relayed {
  /** True if a sibling that doesn't keep up need not get it, since it can ask for it. */
  readonly mayBeDropped: boolean;
  /** True if its messages need no check any more. */
  readonly isChecked: boolean;
}

/** The other processes of this machine. */
export interface Siblings {
  /** Hands a frame that has come from another machine to each of them. */
  relay(frame: Uint8Array, known: Relayed): void;
  /** Gives a frame to the one that is connected with other machines. */
  handUp(frame: Uint8Array): void;
  /** Tells each of them how the uplink is. */
  tellUplink(state: UplinkState): void;
  /** True while one of them takes less than it is sent, so that what it is asked for takes long. */
  readonly isBehind: boolean;
  /** True if an answer to what this one of them asks for would be relayed to it, and not dropped. */
  hasRoomFor(sibling: string): boolean;
  /** Their names. */
  names(): Iterable<string>;
}

/** The parts of a process that its cluster uses. */
export interface ClusterHost {
  readonly runtime: Runtime;
  readonly clock: CoarseClock;
  readonly limits: Limits;
  readonly origins: Origins;
  readonly history: History;
  readonly historyBudget: MemoryBudget;
  readonly events: ClusterEvents;
  /** `undefined` if the machine has one process only. */
  readonly siblings: Siblings | undefined;
  /** This process's clock, in microseconds since the Unix epoch. */
  readonly nowMicros: () => number;
  /** The gate where messages of all topics should wait now; `undefined` if they need not. */
  publishingGate(): Gate | undefined;
  /** Stores what topics have collected. */
  sealTopics(): void;
  /** Fans out a message that another machine accepted. */
  publishRemote(
    origin: Origin,
    topic: string,
    micros: number,
    message: Uint8Array,
    taker: ReceiptTaker | undefined,
  ): void;
  /** Messages between machines are lost: clients that go on where they were must be told. */
  onHole(): void;
  /**
   * The place where messages of other machines wait until these clients are told; `undefined` if none has to be told.
   * A client that got one from behind a hole would come back with a position behind it, as if it had missed nothing.
   */
  holeGate(): WaitingPlace | undefined;
}
