import type { Runtime } from "../../runtime/types.ts";
import { type WaitingPlace, WaitingRoom } from "../flow/gate.ts";
import type { Session } from "../session/session.ts";
import type { SessionTable } from "../session/session_table.ts";
import { returnWindowMs } from "./staggered_close.ts";

/**
 * Ends the clients that go on where they were, since messages between machines were lost. They come back, over a
 * time that depends on how many there are, and are told that there is a gap. All others go on.
 */
export class Discontinuity {
  readonly #runtime: Runtime;
  readonly #sessions: SessionTable<Session>;
  /** The sessions that are still to be looked at. */
  #rest: Session[] = [];
  #windowMs = 0;
  readonly #room: WaitingRoom;

  constructor(runtime: Runtime, sessions: SessionTable<Session>) {
    this.#runtime = runtime;
    this.#sessions = sessions;
    this.#room = new WaitingRoom(runtime);
  }

  /** The place to wait until all have ended that must; `undefined` if they have. */
  get gate(): WaitingPlace | undefined {
    return this.#rest.length > 0 ? this.#room : undefined;
  }

  /** Ends those that there are now, some in each turn of the loop. */
  begin(): void {
    const isRunning = this.#rest.length > 0;
    this.#rest = this.#sessions.list();
    this.#windowMs = returnWindowMs(this.#rest.length);
    if (!isRunning && this.#rest.length > 0) this.#runtime.nextTurn(() => this.#endSome());
  }

  #endSome(): void {
    for (let ended = 0; ended < this.#runtime.writesPerTurn;) {
      const session = this.#rest.pop();
      if (session === undefined) return this.#room.open();
      if (session.discontinue(Math.floor(Math.random() * this.#windowMs))) ended++;
    }
    this.#runtime.nextTurn(() => this.#endSome());
  }
}
