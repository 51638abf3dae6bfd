import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Runtime } from "../../../runtime/types.ts";
import type { MachineState, Want } from "../wire/frames.ts";
import { HistoryFetch, type HistoryPart } from "./history_transfer.ts";
import { DISCOVERY_MS } from "../wire/limits.ts";

/** Milliseconds between two looks whether another machine has answered. */
const LOOK_MS = 20;

/** Milliseconds for which it waits for further machines once one has answered. */
const FURTHER_MS = 100;

/** The outcome of joining a cluster. */
export type Joined =
  /** No other machine is there. */
  | { readonly what: "alone" }
  /** The history of a machine is here. */
  | { readonly what: "copied"; readonly from: string }
  /** No machine's history could be had. */
  | { readonly what: "failed"; readonly reason: string };

/** A machine that may have a history. */
export interface JoinedMachine {
  readonly machine: string;
  readonly state: MachineState;
}

/** The parts of a cluster that a {@linkcode Joining} uses. */
export interface JoiningHost {
  readonly runtime: Pick<Runtime, "nextTurn">;
  /** The other machines that are heard. */
  members(): Iterable<JoinedMachine>;
  /** Asks all other machines for their states. */
  askStates(): void;
  /** Asks a machine for a piece of its history. */
  want(machine: string, want: Want): void;
  /** Stores the records of a history. */
  store(records: readonly Uint8Array[]): void;
  /** Notes that what a machine has published so far isn't known here. */
  passOver(member: JoinedMachine): void;
}

/** Copies the history of another machine, before this one has clients. */
export class Joining {
  readonly #host: JoiningHost;
  #fetch: { readonly machine: string; readonly history: HistoryFetch } | undefined;

  constructor(host: JoiningHost) {
    this.#host = host;
  }

  /** Looks for other machines, and asks one after the other for its history. */
  async join(): Promise<Joined> {
    const untilMs = performance.now() + DISCOVERY_MS;
    this.#host.askStates();
    while (performance.now() < untilMs && this.#ready().length === 0) await sleep(LOOK_MS);
    if (this.#ready().length > 0) await sleep(FURTHER_MS);
    const ready = this.#ready();
    let reason = "";
    for (const { machine, state } of ready) {
      try {
        await this.#copyFrom(machine);
        return { what: "copied", from: state.address };
      } catch (error) {
        reason = `${state.address}: ${(error as Error).message}`;
      } finally {
        this.#fetch = undefined;
      }
    }
    if (ready.length === 0) return { what: "alone" };
    // Clients that were there must be told.
    for (const member of ready) this.#host.passOver(member);
    return { what: "failed", reason };
  }

  /** A piece of a machine's history has come. */
  take(machine: string, part: HistoryPart): void {
    if (this.#fetch?.machine === machine) this.#fetch.history.take(part);
  }

  /** The machines that serve, so that their histories are whole. */
  #ready(): JoinedMachine[] {
    return [...this.#host.members()].filter(({ state }) => state.isReady);
  }

  async #copyFrom(machine: string): Promise<void> {
    const { runtime } = this.#host;
    const copy = randomBytes(8).toString("hex");
    const history = new HistoryFetch(runtime, copy, (want) => this.#host.want(machine, want));
    this.#fetch = { machine, history };
    this.#host.store(await history.records());
  }
}
