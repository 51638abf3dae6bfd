/** What a table keeps. */
export interface Slotted {
  /** Where the table keeps it; -1 where it doesn't. Only the table writes it. */
  slot: number;
}

/** All sessions of a server, in no order; each knows its slot, so that removing one is cheap. */
export class SessionTable<S extends Slotted> {
  readonly #sessions: S[] = [];

  get size(): number {
    return this.#sessions.length;
  }

  add(session: S): void {
    session.slot = this.#sessions.length;
    this.#sessions.push(session);
  }

  remove(session: Slotted): void {
    const last = this.#sessions.pop();
    if (last !== undefined && last !== session) {
      this.#sessions[session.slot] = last;
      last.slot = session.slot;
    }
    session.slot = -1;
  }

  /** All sessions, in an array of its own. */
  list(): S[] {
    return [...this.#sessions];
  }

  /**
   * The session in a slot below {@linkcode size}. Whoever goes through the slots from the highest
   * down meets every session that stays, also while others come and go.
   */
  at(slot: number): S | undefined {
    return this.#sessions[slot];
  }
}
