import type { Session } from "../session/session.ts";
import type { TopicHolder } from "../topics/topic.ts";

/** What is scarce when a server is full. */
export type PlaceKind = "connections" | "topics";

/** All addresses together, as far as one of them changes it. */
export interface HolderTotals {
  /** Topics that are there because of an address. */
  topics: number;
  /** Addresses because of which a topic is there. */
  topicHolders: number;
}

/** What the clients of one address, or of one /64 of IPv6, hold of a process's places. */
export class Holder implements TopicHolder {
  readonly site: string;
  /** Its clients that have a place, in no order; each knows its slot. */
  readonly sessions: Session[] = [];
  readonly #totals: HolderTotals;
  readonly #onEmpty: (holder: Holder) => void;
  #topics = 0;

  /** @param onEmpty It holds nothing any more. */
  constructor(site: string, totals: HolderTotals, onEmpty: (holder: Holder) => void) {
    this.site = site;
    this.#totals = totals;
    this.#onEmpty = onEmpty;
  }

  /** How many places of a kind it holds. */
  held(kind: PlaceKind): number {
    return kind === "connections" ? this.sessions.length : this.#topics;
  }

  addTopic(): void {
    this.#totals.topics++;
    if (this.#topics++ === 0) this.#totals.topicHolders++;
  }

  removeTopic(): void {
    this.#totals.topics--;
    if (--this.#topics > 0) return;
    this.#totals.topicHolders--;
    if (this.sessions.length === 0) this.#onEmpty(this);
  }

  add(session: Session): void {
    session.holderSlot = this.sessions.length;
    this.sessions.push(session);
  }

  remove(session: Session): void {
    const last = this.sessions.pop();
    if (last !== undefined && last !== session) {
      this.sessions[session.holderSlot] = last;
      last.holderSlot = session.holderSlot;
    }
    session.holderSlot = -1;
    if (this.sessions.length === 0 && this.#topics === 0) this.#onEmpty(this);
  }
}
