import { randomBytes } from "node:crypto";

/** Origins of processes that have ended, and are remembered: clients may name 256, and 65 may live. */
const MAX_ENDED_ORIGINS = 128;

/**
 * The way in which an origin came to its end.
 *
 * - `ended`: its process stopped gracefully, and this one has all that it had accepted.
 * - `crashed`: it took with it what it had accepted and not yet forwarded.
 * - `lost`: it stopped gracefully, but this process doesn't have all that it had accepted.
 */
export type OriginEnd = "ended" | "crashed" | "lost";

/** One run of one server process, which issues timestamps: each is greater than the one before. */
export class Origin {
  /** 16 lower-case hexadecimal digits, drawn at random when the process starts. */
  readonly name: string;
  /**
   * The timestamp up to which this process has all that the origin accepted, in microseconds since the Unix
   * epoch: that of its last message here; after its end, that of its end.
   */
  micros: number;
  /** True once a message of it has come from its process. */
  hasPublished = false;
  /** True if its process is part of another machine of a cluster. */
  isRemote = false;
  /** When its machine last said how it is, on the coarse clock of this process; `undefined` if none is known to. */
  heardMs: number | undefined = undefined;
  /** The timestamp up to which some of its messages never came here; -1 if all did. */
  holeMicros = -1;
  /** Absent while its process lives. */
  end: OriginEnd | undefined = undefined;
  /** True once it isn't remembered any more, since many others have ended after it. */
  isForgotten = false;

  constructor(name: string, micros: number) {
    this.name = name;
    this.micros = micros;
  }
}

/** The origins that a process knows: itself, the other processes of its server, and their predecessors. */
export class Origins {
  /** This process. */
  readonly own: Origin;
  readonly #known = new Map<string, Origin>();
  #forgottenMicros = -1;

  /**
   * @param micros A timestamp below all that this process will issue.
   */
  constructor(micros: number, name: string = randomBytes(8).toString("hex")) {
    this.own = new Origin(name, micros);
    this.#known.set(name, this.own);
  }

  /** All known origins, those that were known first in front. */
  all(): IterableIterator<Origin> {
    return this.#known.values();
  }

  find(name: string): Origin | undefined {
    return this.#known.get(name);
  }

  /**
   * The origin of that name, which is known from now on.
   *
   * @param micros The timestamp up to which this process has everything, if the origin wasn't known.
   */
  learn(name: string, micros: number): Origin {
    let origin = this.#known.get(name);
    if (origin === undefined) {
      origin = new Origin(name, micros);
      this.#known.set(name, origin);
    }
    return origin;
  }

  /**
   * Notes that an origin's process has ended. If that is known, the way in which it did stays; but its end is
   * the latest that any process was told, since a client may have its position from that.
   */
  close(origin: Origin, end: OriginEnd, micros: number): void {
    origin.micros = Math.max(origin.micros, micros);
    if (origin.end !== undefined) return;
    origin.end = end;
    // Behind those that ended before.
    this.#known.delete(origin.name);
    this.#known.set(origin.name, origin);
    let ended = 0;
    for (const { end } of this.#known.values()) if (end !== undefined) ended++;
    for (const oldest of this.#known.values()) {
      if (ended <= MAX_ENDED_ORIGINS) return;
      if (oldest.end === undefined) continue;
      ended--;
      this.#known.delete(oldest.name);
      oldest.isForgotten = true;
      this.#forgottenMicros = Math.max(this.#forgottenMicros, oldest.micros);
    }
  }

  /** The timestamp of the last end of an origin that isn't remembered any more; -1 if there is none. */
  get forgottenMicros(): number {
    return this.#forgottenMicros;
  }
}
