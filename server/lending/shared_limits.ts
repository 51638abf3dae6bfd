import type { Runtime } from "../../runtime/types.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Limits } from "../limits.ts";
import type { Displacement } from "../shares/displacement.ts";
import type { OtherProcessesOptions } from "../shares/other_processes.ts";
import type { TopicPlaces } from "../topics/topic_registry.ts";
import { Borrower } from "./borrower.ts";
import { HeldConnections } from "./held_connections.ts";
import { SharedAdmission } from "./shared_admission.ts";
import { type Claim, termsOf } from "./terms.ts";

/** How a server's process shares limits with its others. */
export interface LendingOptions {
  /** How many processes the server has. */
  readonly workers: number;
  /** Connections that this one's descriptors are enough for. */
  readonly maxOwnConnections: number;
  /** Sends the lender what this process claims; what it says is for {@linkcode Borrower.hear}. */
  readonly send: (claims: readonly Claim[]) => void;
  /** See {@linkcode OtherProcessesOptions.send}. */
  readonly sendCensus: OtherProcessesOptions["send"];
}

/** What {@linkcode SharedLimits} needs of its server. */
export interface SharingServer {
  readonly runtime: Runtime;
  readonly limits: Limits;
  readonly clock: CoarseClock;
  readonly sessions: { readonly size: number };
  readonly displacement: Displacement;
  /** A connection has gone before it was settled whether there is room for it. */
  readonly onHeldGone: () => void;
}

/** The limits that a server's processes keep together, as one of them sees them. */
export class SharedLimits {
  readonly borrower: Borrower;
  readonly held: HeldConnections;
  readonly admission: SharedAdmission;

  constructor(
    { runtime, limits, clock, sessions, displacement, onHeldGone }: SharingServer,
    { workers, maxOwnConnections, send }: LendingOptions,
  ) {
    this.borrower = new Borrower({
      terms: termsOf(limits),
      workers,
      clock,
      send,
      nextTurn: (task) => runtime.nextTurn(task),
    });
    const held = this.held = new HeldConnections(this.borrower, onHeldGone);
    this.admission = new SharedAdmission(
      limits,
      maxOwnConnections,
      this.borrower,
      () => sessions.size + held.size,
      () => held.size,
      displacement,
    );
  }

  /** The places for topics. A topic takes one on each process that has it. */
  get topicPlaces(): TopicPlaces {
    const { borrower } = this;
    return {
      room: () => borrower.lease("topics").room(),
      take: () => borrower.lease("topics").take(),
      giveBack: () => borrower.giveBack("topics"),
    };
  }
}
