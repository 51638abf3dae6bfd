import type { Connection, Runtime } from "../../runtime/types.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Limits } from "../limits.ts";
import type { Displacement } from "../shares/displacement.ts";
import type { OtherProcessesOptions } from "../shares/other_processes.ts";
import type { TopicPlaces } from "../topics/topic_registry.ts";
import { Borrower } from "./borrower.ts";
import { HeldConnections } from "./held_connections.ts";
import { SharedAdmission } from "./shared_admission.ts";
import { type Claim, termsOf } from "./terms.ts";

/** The settings by which a process shares limits with the server's other processes. */
export interface LendingOptions {
  /** The number of the server's processes. */
  readonly workers: number;
  /** The connections that this process's descriptors allow. */
  readonly maxOwnConnections: number;
  /** Sends claims to the lender, whose answers go to {@linkcode Borrower.hear}. */
  readonly send: (claims: readonly Claim[]) => void;
  /** See {@linkcode OtherProcessesOptions.send}. */
  readonly sendCensus: OtherProcessesOptions["send"];
}

/** The parts of the server that {@linkcode SharedLimits} uses. */
export interface SharingServer {
  readonly runtime: Runtime;
  readonly limits: Limits;
  readonly clock: CoarseClock;
  readonly sessions: { readonly size: number };
  readonly displacement: Displacement;
  /** Called when a held connection has gone. */
  readonly onHeldGone: (connection: Connection) => void;
}

/** One process's side of the limits that the server's processes keep together. */
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

  /** The places for topics. A topic takes one place in each process that has it. */
  get topicPlaces(): TopicPlaces {
    const { borrower } = this;
    return {
      room: () => borrower.lease("topics").room(),
      take: () => borrower.lease("topics").take(),
      giveBack: () => borrower.giveBack("topics"),
    };
  }
}
