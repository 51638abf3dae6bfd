import type { RuntimeName } from "../../../cli/program.ts";
import type { BystanderNote, BystanderOrder, BystanderRole } from "./bystander_client.ts";
import { ClientProcess } from "./client_process.ts";
import type { Faults } from "../checks/faults.ts";
import type { StrikeHistory } from "../checks/strike_history.ts";
import { Latency } from "../checks/latency.ts";
import type { Keys } from "./healthy_client.ts";
import { hasLoopbackAddresses, type PeerTarget } from "./peer.ts";

/** The bystander's own topic. */
const TOPIC = "soak-bystander";

/** On Linux all of 127.0.0.0/8 is loopback; attacks come from 127.0.1.1 on. */
const ADDRESS = "127.0.0.2";

/** Milliseconds after its patience within which the process reports what never arrived. */
const TELL_MS = 10_000;

/** The server and the runtime of a bystander. */
export interface BystanderPlace {
  /** The bystander's runtime. */
  readonly runtime: RuntimeName;
  readonly target: PeerTarget;
  readonly keys: Keys | null;
  readonly patienceMs: number;
}

/**
 * A publisher and a subscriber, in a process of their own, that have nothing to do with any attack. They
 * must miss nothing, and their latency is measured.
 */
export class Bystander {
  readonly latency = new Latency();
  /** Connections that ended with a worker that was struck. */
  lostToStrikes = 0;
  readonly #process: ClientProcess;
  readonly #faults: Faults;
  readonly #strikes: StrikeHistory;
  readonly #ports = new Map<BystanderRole, number>();
  readonly #over = Promise.withResolvers<void>();
  #isLeaving = false;

  constructor({ runtime, ...place }: BystanderPlace, faults: Faults, strikes: StrikeHistory) {
    this.#faults = faults;
    this.#strikes = strikes;
    const from = hasLoopbackAddresses(place.target) ? ADDRESS : null;
    const order: BystanderOrder = { ...place, from, topic: TOPIC };
    const script = import.meta.resolve("./bystander_client.ts");
    this.#process = new ClientProcess(runtime, script, order, (note) => {
      this.#take(note as BystanderNote);
    });
    this.#process.ended.then((how) => {
      if (!this.#isLeaving) {
        faults.add("not_connected", `the bystander's process ended with ${how}`);
      }
      this.#over.resolve();
    });
  }

  /**
   * Stops publishing, waits for messages on their way, reports those that never arrived, and leaves.
   *
   * @param hadTime True if there was time to connect: then receiving nothing at all is a fault.
   */
  async settle(patienceMs: number, hadTime: boolean): Promise<void> {
    this.#process.finish();
    const timer = setTimeout(() => {
      this.#faults.add("missing", "the bystander's process doesn't answer");
      this.#over.resolve();
    }, patienceMs + TELL_MS);
    await this.#over.promise;
    clearTimeout(timer);
    if (hadTime && this.latency.count === 0) {
      this.#faults.add("missing", "the bystander got no message at all");
    }
    this.leave();
  }

  /** Ends its process. */
  leave(): void {
    this.#isLeaving = true;
    this.#process.kill();
  }

  /** True if one of its connections came from one of these ports. */
  isAmong(ports: readonly number[]): boolean {
    return [...this.#ports.values()].some((port) => ports.includes(port));
  }

  #take(note: BystanderNote): void {
    if (this.#isLeaving) return;
    switch (note.is) {
      case "connected":
        this.#ports.set(note.role, note.port);
        break;
      case "delivered":
        for (const [sentMs, tookMs] of note.samples) this.latency.add(sentMs, tookMs);
        break;
      case "gone":
        this.#onGone(note);
        break;
      case "fault":
        this.#faults.add(note.kind, `bystander: ${note.detail}`);
        break;
      case "over":
        if (note.missing > 0) {
          this.#faults.add("missing", `bystander: the last ${note.missing}`, note.missing);
        }
        this.#over.resolve();
    }
  }

  #onGone({ role, port, greetedAgoMs, how, told }: BystanderNote & { is: "gone" }): void {
    const greetedMs = performance.now() - (greetedAgoMs ?? 0);
    const isGoodbye = told?.includes('"code":"server_shutdown"') ?? false;
    const saysNoRoom = told?.includes('"code":"too_many_connections"') ?? false;
    const isExplained = saysNoRoom
      ? this.#strikes.explainsNoRoom(port, greetedAgoMs === null ? null : greetedMs)
      : isGoodbye
      ? this.#strikes.explainsGoodbye(port, greetedMs)
      : greetedAgoMs === null
      ? this.#strikes.explainsNoGreeting
      : this.#strikes.explainsLoss(port, greetedMs);
    if (isExplained) this.lostToStrikes++;
    else {
      const kind = greetedAgoMs === null ? "not_connected" : "cut";
      this.#faults.add(kind, `bystander's ${role}: ${told ?? `the connection ended: ${how}`}`);
    }
  }
}
