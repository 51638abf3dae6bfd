import type { RuntimeName } from "../../../cli/program.ts";
import type { BystanderNote, BystanderOrder, BystanderRole } from "./bystander_client.ts";
import { ClientProcess } from "./client_process.ts";
import type { Faults } from "../checks/faults.ts";
import type { Kills } from "../checks/strike_history.ts";
import { Latency } from "../checks/latency.ts";
import type { Keys } from "./member.ts";
import { hasLoopbackAddresses, type PeerTarget } from "./peer.ts";

/** Nobody else's. */
const TOPIC = "soak-bystander";

/** On Linux all of 127.0.0.0/8 is loopback; attacks come from 127.0.1.1 on. */
const ADDRESS = "127.0.0.2";

/** It tells what never came a moment after its patience has ended. */
const TELL_MS = 10_000;

/** Where a bystander stands. */
export interface BystanderPlace {
  /** What it runs on. */
  readonly runtime: RuntimeName;
  readonly target: PeerTarget;
  readonly keys: Keys | null;
  readonly patienceMs: number;
}

/**
 * A publisher and a subscriber who have nothing to do with any attack: they miss nothing, and what
 * their messages take is measured. They are a process of their own.
 */
export class Bystander {
  readonly latency = new Latency();
  /** The worker that had one of its connections was made to end. */
  lostToKills = 0;
  readonly #process: ClientProcess;
  readonly #faults: Faults;
  readonly #kills: Kills;
  readonly #ports = new Map<BystanderRole, number>();
  readonly #over = Promise.withResolvers<void>();
  #isLeaving = false;

  constructor({ runtime, ...place }: BystanderPlace, faults: Faults, kills: Kills) {
    this.#faults = faults;
    this.#kills = kills;
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
   * Publishes no more, waits for what is under way, counts what never came, and leaves.
   *
   * @param hadTime Whether there was time to connect: then getting nothing at all is a fault.
   */
  async settle(patienceMs: number, hadTime: boolean): Promise<void> {
    this.#process.conclude();
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

  /** Whether one of its connections came from one of these ports. */
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
    const isFarewell = told?.includes('"code":"server_shutdown"') ?? false;
    const saysNoRoom = told?.includes('"code":"too_many_connections"') ?? false;
    const isExplained = saysNoRoom
      ? this.#kills.explainsNoRoom(port, greetedAgoMs === null ? null : greetedMs)
      : isFarewell
      ? this.#kills.explainsFarewell(port, greetedMs)
      : greetedAgoMs === null
      ? this.#kills.explainsNoGreeting
      : this.#kills.explainsLoss(port);
    if (isExplained) this.lostToKills++;
    else {
      const kind = greetedAgoMs === null ? "not_connected" : "cut";
      this.#faults.add(kind, `bystander's ${role}: ${told ?? `the connection ended: ${how}`}`);
    }
  }
}
