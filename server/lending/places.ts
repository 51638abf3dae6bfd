import { AddressTable } from "../access/address_table.ts";
import type { Admission } from "../access/admission.ts";
import type { Limits } from "../limits.ts";
import type { Connection, Runtime } from "../../runtime/types.ts";
import { Displacement } from "../shares/displacement.ts";
import { Holders } from "../shares/holders.ts";
import { LocalAdmission } from "../shares/local_admission.ts";
import { OtherProcesses } from "../shares/other_processes.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { type LendingOptions, SharedLimits } from "./shared_limits.ts";

/** The parts of the server that its places use. */
export interface PlacesHost {
  readonly runtime: Runtime;
  readonly limits: Limits;
  readonly clock: CoarseClock;
  readonly sessions: { readonly size: number };
  /** Called when a connection has gone that waited until other processes have answered. */
  readonly onHeldGone: (connection: Connection) => void;
}

/** The places for connections and topics: who has one, who gets one, who gives one up. */
export class Places {
  readonly admission: Admission;
  readonly displacement: Displacement;
  /** The clients that hold places, by address. */
  readonly holders = new Holders();
  /** The limits that this process keeps with others; `undefined` if there are none. */
  readonly shared: SharedLimits | undefined;
  /** The addresses' shares on these; `undefined` if there are none. */
  readonly others: OtherProcesses | undefined;

  constructor(host: PlacesHost, lending: LendingOptions | undefined) {
    const { runtime, limits, clock, sessions } = host;
    const { holders } = this;
    const resumeAll = () => this.shared?.borrower.resumeAll();
    this.others = lending && new OtherProcesses({
      holders,
      clock,
      send: lending.sendCensus,
      onNews: resumeAll,
    });
    this.displacement = new Displacement({
      holders,
      clock,
      others: this.others,
      onDisplaced: (session) => {
        holders.remove(session);
        this.admission.leave(session.remoteAddress);
      },
      onYielded: () => runtime.nextTurn(resumeAll),
    });
    const { displacement } = this;
    this.shared = lending && new SharedLimits({ ...host, displacement }, lending);
    this.admission = this.shared?.admission ??
      new LocalAdmission(limits, sessions, new AddressTable(limits, clock), displacement);
  }

  sweep(): void {
    this.admission.sweep();
    this.others?.sweep();
  }
}
