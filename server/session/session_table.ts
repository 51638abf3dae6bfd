/** An entry of a {@linkcode SessionTable}. */
export interface Slotted {
  /** Index in the table; -1 if it isn't there. Only the table writes it. */
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

  /** All sessions, in a new array. */
  list(): S[] {
    return [...this.#sessions];
  }

  /**
   * The session in a slot below {@linkcode size}. A loop from the highest slot down meets every session
   * that stays, also while others come and go.
   */
  at(slot: number): S | undefined {
    return this.#sessions[slot];
  }
}
