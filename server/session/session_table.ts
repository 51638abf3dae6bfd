import type { Session } from "./session.ts";

/** All sessions of a server, in no order; each knows its slot, so that removing one is cheap. */
export class SessionTable {
  readonly #sessions: Session[] = [];

  get size(): number {
    return this.#sessions.length;
  }

  add(session: Session): void {
    session.slot = this.#sessions.length;
    this.#sessions.push(session);
  }

  remove(session: Session): void {
    const last = this.#sessions.pop();
    if (last !== undefined && last !== session) {
      this.#sessions[session.slot] = last;
      last.slot = session.slot;
    }
    session.slot = -1;
  }

  /** All sessions, in an array of its own. */
  list(): Session[] {
    return [...this.#sessions];
  }

  /**
   * The session in a slot below {@linkcode size}. Whoever goes through the slots from the highest
   * down meets every session that stays, also while others come and go.
   */
  at(slot: number): Session | undefined {
    return this.#sessions[slot];
  }
}
